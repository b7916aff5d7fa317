// SPDX-License-Identifier: ISC
// One side of a call: sound and picture go from browser to browser, what is
// said about them goes through the order's room (triggers/calls.sql).
//
// The caller makes every offer, so two never meet; the callee answers. An
// offer is repeated until it is answered: who opens the page late, or has been
// cut off, gets the next one, and it has all candidates up to then. When both
// call at once, the call with the smaller id is the one.
//
// What is said may be cut off while the media goes on. So a call ends when
// somebody ends it, or when there has been no media for GRACE_MS.

import type { Client, Handler } from '../types.js';
import { isUp } from '../react/provider.js';

const REPEAT_MS = 3000;
/** Without an answer the caller gives up. */
const RING_MS = 45_000;
/** Without another offer it does not ring any more. */
const DEAF_MS = 12_000;
const GRACE_MS = 20_000;
/** For so long it is said why a call has ended. */
const SHOWN_MS = 10_000;

export type CallState =
  | 'idle'
  /** We call. */
  | 'calling'
  /** We are called. */
  | 'ringing'
  | 'connecting'
  | 'active'
  /** It was active, and has no media now. */
  | 'broken';

export type CallEnd =
  | 'hangup'
  | 'declined'
  | 'busy'
  | 'missed'
  | 'elsewhere'
  | 'muted'
  | 'gone'
  | 'failed'
  | 'media'
  | 'refused';

export interface CallInfo {
  state: CallState;
  /** Why the last one has ended. */
  ended: CallEnd | null;
  /** With what words, if it was refused. */
  error: string | null;
  /** The one that calls us wants to be seen. */
  wantsVideo: boolean;
  local: MediaStream | null;
  remote: MediaStream | null;
  mic: boolean;
  camera: boolean;
  /** What the other side says of its own. */
  theirs: { mic: boolean; camera: boolean };
  /** Date.now() when it became active. */
  since: number | null;
}

export interface CallOptions {
  orderId: string;
  me: string;
  /** The other party. */
  peer: string;
  iceServers?: RTCIceServer[];
}

const IDLE: CallInfo = {
  state: 'idle',
  ended: null,
  error: null,
  wantsVideo: false,
  local: null,
  remote: null,
  mic: true,
  camera: false,
  theirs: { mic: true, camera: false },
  since: null,
};

/** Who may not be called, for he is in a call already: by client. */
const busy = new WeakMap<Client, Call>();

let made = 0;
const newId = (): string =>
  [Date.now(), ++made, Math.random()].map((n) => n.toString(36)).join('-');

export class Call {
  #client: Client;
  #options: CallOptions;
  #info = IDLE;
  #listeners = new Set<() => void>();
  #id: string | null = null;
  #isCaller = false;
  /** Whether we want to be seen. */
  #video = false;
  #pc: RTCPeerConnection | null = null;
  #channel: RTCDataChannel | null = null;
  /** Of the newest offer; an answer to an older one is none. */
  #offer = 0;
  /** What the callee will answer when it is accepted. */
  #offered: { sdp: RTCSessionDescriptionInit; offer: number } | null = null;
  #candidates: RTCIceCandidateInit[] = [];
  #repeat: ReturnType<typeof setInterval> | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /**
   * One after the other: descriptions must not overtake each other. Every
   * peer has its own row, for what is asked of one that is closed before it
   * answers is never answered.
   */
  #work: Promise<unknown> = Promise.resolve();

  constructor(client: Client, options: CallOptions) {
    this.#client = client;
    this.#options = options;
  }

  subscribe = (tell: () => void): (() => void) => {
    this.#listeners.add(tell);
    return () => this.#listeners.delete(tell);
  };

  /** The same object until something changes. */
  info = (): CallInfo => this.#info;

  #set(change: Partial<CallInfo>): void {
    this.#info = { ...this.#info, ...change };
    for (const tell of [...this.#listeners]) tell();
  }

  // --- what one does

  start = (video = false): void => {
    if (this.#info.state !== 'idle') return;
    if (busy.has(this.#client)) {
      this.#set({ ended: 'busy', error: null });
      return;
    }
    this.#begin(newId(), true, 'calling');
    this.#wait(RING_MS, 'missed');
    this.#video = video;
    void this.#connect();
  };

  accept = (video = false): void => {
    if (this.#info.state !== 'ringing') return;
    this.#set({ state: 'connecting' });
    this.#wait(GRACE_MS, 'failed');
    this.#video = video;
    void this.#connect();
  };

  decline = (): void => this.#finish('declined', true);

  hangUp = (): void => this.#finish('hangup', true);

  setMic = (mic: boolean): void => {
    for (const track of this.#info.local?.getAudioTracks() ?? [])
      track.enabled = mic;
    this.#set({ mic });
    this.#tellMedia();
  };

  /** Asked for when it is turned on for the first time. */
  setCamera = async (camera: boolean): Promise<void> => {
    const { local } = this.#info;
    const id = this.#id;
    if (!local) return;
    try {
      if (camera && local.getVideoTracks().length === 0) {
        const more = await navigator.mediaDevices.getUserMedia({ video: true });
        const [track] = more.getVideoTracks();
        if (this.#id !== id) {
          track!.stop();
          return;
        }
        local.addTrack(track!);
        await this.#sender('video')?.replaceTrack(track!);
      }
      for (const track of local.getVideoTracks()) track.enabled = camera;
      this.#set({ camera, error: null });
      this.#tellMedia();
    } catch (err) {
      if (this.#id === id) this.#set({ error: (err as Error).message });
    }
  };

  // --- the connection below

  /** From now on we hear and ring; gives back what ends it. */
  attach(): () => void {
    const room = this.#client.room(`order:${this.#options.orderId}`);
    const on = (event: string, handler: Handler) =>
      room.on(event, (data, meta) => {
        if (data?.from !== undefined) handler(data, meta);
      });
    const leave = () => this.hangUp();
    const offs = [
      on('call_offer', (data) => this.#onOffer(data)),
      on('call_answer', (data) => this.#onAnswer(data)),
      on('call_candidate', (data) => this.#onCandidate(data)),
      on('call_end', (data) => this.#onEnd(data)),
      room.on('joined', () => {
        // We have been away, under another name: what was said is lost.
        if (this.#isCaller && this.#pc) this.#restart();
      }),
    ];
    addEventListener('pagehide', leave);
    return () => {
      removeEventListener('pagehide', leave);
      leave();
      offs.forEach((off) => off());
    };
  }

  #onOffer(data: any): void {
    if (data.from !== this.#options.peer) return;
    const { callId } = data;
    const { state } = this.#info;
    if (callId === this.#id) this.#onAgain(data);
    else if (state === 'calling') {
      // Both call at once.
      if (callId < this.#id!) this.#take(data);
    } else if (/^(ringing|broken)$/.test(state)) {
      // It has given the old one up, and we were not told.
      this.#finish('gone', false);
      this.#ring(data);
    } else if (busy.has(this.#client))
      this.#say('call_end', { callId, reason: 'busy' });
    else this.#ring(data);
  }

  #ring({ callId, sdp, offer = 0, video = false }: any): void {
    this.#begin(callId, false, 'ringing');
    this.#set({ wantsVideo: Boolean(video) });
    this.#offered = { sdp, offer };
    this.#wait(DEAF_MS, 'missed');
  }

  /** Repeated, or other terms for a call in progress. */
  #onAgain({ sdp, offer = 0 }: any): void {
    if (this.#isCaller) return;
    const isKnown = this.#offered?.offer === offer;
    this.#offered = { sdp, offer };
    if (this.#info.state === 'ringing') this.#wait(DEAF_MS, 'missed');
    else if (isKnown) this.#sayAnswer();
    else void this.#answer();
  }

  /** Ours is given up for theirs, which is accepted: that is what we wanted. */
  #take({ callId, sdp, offer = 0 }: any): void {
    const { local, camera } = this.#info;
    this.#say('call_end', { reason: 'glare' });
    this.#close();
    this.#begin(callId, false, 'connecting');
    this.#offered = { sdp, offer };
    this.#set({ local, camera });
    this.#wait(GRACE_MS, 'failed');
    void this.#connect();
  }

  #onAnswer({ from, callId, sdp, offer }: any): void {
    if (callId !== this.#id) return;
    if (from === this.#options.me) {
      // In another window of ours.
      if (this.#info.state === 'ringing') this.#finish('elsewhere', false);
      return;
    }
    if (!this.#isCaller || from !== this.#options.peer) return;
    void this.#queue(async (pc) => {
      if (offer !== this.#offer || pc.signalingState !== 'have-local-offer')
        return;
      clearInterval(this.#repeat);
      await pc.setRemoteDescription(sdp);
      await this.#addCandidates(pc);
      if (this.#info.state !== 'calling') return;
      this.#set({ state: 'connecting' });
      this.#wait(GRACE_MS, 'failed');
    });
  }

  #onCandidate({ from, callId, candidate }: any): void {
    if (callId !== this.#id || from !== this.#options.peer) return;
    this.#candidates.push(candidate);
    void this.#queue((pc) => this.#addCandidates(pc));
  }

  #onEnd({ from, callId, reason }: any): void {
    if (callId !== this.#id) return;
    const { state } = this.#info;
    if (from === this.#options.me) {
      // The end of another window of ours, or of an older socket.
      if (reason === 'muted') this.#finish('muted', false);
      else if (reason !== 'gone' && state === 'ringing')
        this.#finish('elsewhere', false);
      return;
    }
    if (from !== this.#options.peer) return;
    if (reason === 'gone') this.#onGone();
    else
      this.#finish(
        /^(declined|busy|muted|missed)$/.test(reason) ? reason : 'hangup',
        false,
      );
  }

  /** Its connection to us, that is: it may come again, or go on without. */
  #onGone(): void {
    if (this.#info.state === 'ringing') this.#finish('missed', false);
    else if (this.#isCaller) this.#restart();
  }

  // --- a call

  #begin(id: string, isCaller: boolean, state: CallState): void {
    clearTimeout(this.#timer);
    this.#id = id;
    this.#isCaller = isCaller;
    this.#offer = 0;
    busy.set(this.#client, this);
    this.#set({ ...IDLE, state });
  }

  /** The end of whatever there is; tell: the other side does not know. */
  #finish(ended: CallEnd, tell: boolean, error: string | null = null): void {
    if (this.#id === null) return;
    if (tell) this.#say('call_end', { reason: ended });
    for (const track of this.#info.local?.getTracks() ?? []) track.stop();
    this.#close();
    busy.delete(this.#client);
    this.#set({ ...IDLE, ended, error });
    this.#timer = setTimeout(() => this.#set({ ended: null, error: null }), SHOWN_MS);
  }

  #close(): void {
    clearInterval(this.#repeat);
    clearTimeout(this.#timer);
    this.#pc?.close();
    this.#pc = this.#channel = this.#offered = this.#id = null;
    this.#candidates = [];
    this.#work = Promise.resolve();
  }

  #wait(ms: number, end: CallEnd): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#finish(end, true), ms);
  }

  async #connect(): Promise<void> {
    const id = this.#id;
    let local = this.#info.local;
    try {
      local ??= await getMedia(this.#video);
    } catch (err) {
      if (this.#id === id) this.#finish('media', true, (err as Error).message);
      return;
    }
    if (this.#id !== id) {
      for (const track of local.getTracks()) track.stop();
      return;
    }
    const camera = local.getVideoTracks().length > 0;
    const remote = new MediaStream();
    this.#set({ local, remote, camera });
    this.#pc = this.#makePeer(remote);
    if (!this.#isCaller) {
      await this.#answer();
      return;
    }
    // Always both, so that a camera may come later without another offer.
    for (const kind of ['audio', 'video'])
      this.#pc.addTransceiver(
        local.getTracks().find((t) => t.kind === kind) ?? kind,
        { direction: 'sendrecv' },
      );
    this.#restart();
  }

  #makePeer(remote: MediaStream): RTCPeerConnection {
    const { iceServers = [] } = this.#options;
    const pc = new RTCPeerConnection({ iceServers });
    pc.onicecandidate = ({ candidate }) => {
      if (this.#pc === pc)
        this.#say('call_candidate', { candidate: candidate?.toJSON() ?? null });
    };
    pc.ontrack = ({ track }) => {
      remote.addTrack(track);
      // Another stream, for who compares them.
      if (this.#pc === pc) this.#set({ remote });
    };
    pc.onconnectionstatechange = () => {
      if (this.#pc === pc) this.#onMedia(pc.connectionState);
    };
    const channel = pc.createDataChannel('media', { negotiated: true, id: 0 });
    channel.onopen = () => this.#tellMedia();
    channel.onmessage = ({ data }) => {
      const { mic, camera } = JSON.parse(data);
      if (this.#pc === pc) this.#set({ theirs: { mic: !!mic, camera: !!camera } });
    };
    this.#channel = channel;
    return pc;
  }

  #tellMedia(): void {
    const { mic, camera } = this.#info;
    if (this.#channel?.readyState === 'open')
      this.#channel.send(JSON.stringify({ mic, camera }));
  }

  #onMedia(state: RTCPeerConnectionState): void {
    if (state === 'connected') {
      clearTimeout(this.#timer);
      this.#set({ state: 'active', since: this.#info.since ?? Date.now() });
    } else if (state === 'disconnected' || state === 'failed') {
      if (this.#info.state === 'active') {
        this.#set({ state: 'broken' });
        this.#wait(GRACE_MS, 'gone');
      }
      if (state === 'failed' && this.#isCaller) this.#restart();
    }
  }

  // --- what is said

  /** An offer, and again until it is answered. */
  #restart(): void {
    const offer = () =>
      this.#queue(async (pc) => {
        if (pc.signalingState === 'stable') {
          const description = await pc.createOffer({
            iceRestart: pc.remoteDescription !== null,
          });
          this.#offer++;
          await pc.setLocalDescription(description);
        }
        this.#sayOffer(pc);
      });
    clearInterval(this.#repeat);
    this.#repeat = setInterval(
      () => void this.#queue((pc) => this.#sayOffer(pc)),
      REPEAT_MS,
    );
    void offer();
  }

  #sayOffer(pc: RTCPeerConnection): void {
    if (pc.signalingState !== 'have-local-offer') return;
    this.#say('call_offer', {
      sdp: pc.localDescription,
      offer: this.#offer,
      video: this.#info.camera,
    });
  }

  async #answer(): Promise<void> {
    await this.#queue(async (pc) => {
      const { sdp } = this.#offered!;
      await pc.setRemoteDescription(sdp);
      await this.#addCandidates(pc);
      for (const transceiver of pc.getTransceivers()) {
        const { kind } = transceiver.receiver.track;
        const own = this.#info.local!.getTracks().find((t) => t.kind === kind);
        transceiver.direction = 'sendrecv';
        if (own && transceiver.sender.track !== own)
          await transceiver.sender.replaceTrack(own);
      }
      await pc.setLocalDescription(await pc.createAnswer());
      this.#sayAnswer();
    });
  }

  #sayAnswer(): void {
    const sdp = this.#pc?.localDescription;
    if (sdp?.type === 'answer')
      this.#say('call_answer', { sdp, offer: this.#offered!.offer });
  }

  async #addCandidates(pc: RTCPeerConnection): Promise<void> {
    if (!pc.remoteDescription) return;
    for (const candidate of this.#candidates.splice(0))
      await pc.addIceCandidate(candidate ?? undefined).catch(() => {
        // Of an offer before.
      });
  }

  #sender(kind: string): RTCRtpSender | undefined {
    return this.#pc
      ?.getTransceivers()
      .find((t) => t.receiver.track.kind === kind)?.sender;
  }

  #queue(step: (pc: RTCPeerConnection) => unknown): Promise<void> {
    const pc = this.#pc;
    const done = this.#work.then(async () => {
      if (pc && this.#pc === pc) await step(pc);
    });
    this.#work = done.catch((err: Error) => {
      if (this.#pc === pc) this.#finish('failed', true, err.message);
    });
    return this.#work as Promise<void>;
  }

  #say(event: string, data: { callId?: string; [member: string]: unknown }): void {
    // Later it would not be true any more; an end is.
    if (!isUp(this.#client.status) && event !== 'call_end') return;
    const { orderId } = this.#options;
    const callId = data.callId ?? this.#id;
    this.#client
      .send(event, { ...data, orderId, callId }, { key: false })
      .catch(({ code, message }) => {
        if (callId === this.#id) this.#onRefusal(event, code, message);
      });
  }

  #onRefusal(event: string, code: string, message: string): void {
    const { state } = this.#info;
    // An older socket of ours may hold it yet; the media tells.
    if (state === 'active' || state === 'broken') return;
    if (code === 'muted') this.#finish('muted', false, message);
    else if (event === 'call_offer' && /^(bad_request|forbidden|not_found)$/.test(code))
      this.#finish('refused', false, message);
    else if (event === 'call_answer' && code === 'conflict')
      this.#finish('elsewhere', false);
    else if (event === 'call_answer' && code === 'not_found')
      this.#finish('missed', false);
  }
}

/** Who has no camera is heard at least. */
async function getMedia(video: boolean): Promise<MediaStream> {
  const { mediaDevices } = navigator;
  if (!mediaDevices) throw new Error('only on https:// pages');
  if (!video) return mediaDevices.getUserMedia({ audio: true });
  try {
    return await mediaDevices.getUserMedia({ audio: true, video: true });
  } catch {
    return mediaDevices.getUserMedia({ audio: true });
  }
}
