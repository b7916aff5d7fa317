// SPDX-License-Identifier: ISC
// Call the other party of an order, and be called: buttons while there is no
// call, then who is seen and heard.

import { useEffect, useRef, useState, type ReactNode } from 'react';
import type { Person } from './api.js';
import { Icon } from './icons.js';
import { Avatar } from './People.js';
import { isUp, useStatus } from '../react/provider.js';
import { textsOf, type Locale } from './texts.js';
import { useCall, type UseCall } from './useCall.js';

export interface CallPanelProps {
  orderId: string;
  /** Who is looking: a party of the order. */
  me: string;
  /** The other party. */
  peer: Person;
  locale?: Locale;
  /** STUN and TURN; none by default, which does within one network. */
  iceServers?: RTCIceServer[];
}

export function CallPanel(props: CallPanelProps): ReactNode {
  const { orderId, me, peer, locale = 'en', iceServers } = props;
  const t = textsOf(locale);
  const call = useCall({ orderId, me, peer: peer.id, iceServers });
  const { state, ended } = call;
  const canCall = isUp(useStatus());
  useRingTone(state === 'ringing');

  if (state === 'idle')
    return (
      <div className="pgpush-calls" lang={locale}>
        {ended && (
          <span className="pgpush-call-ended" role="status">
            {t.callEnd[ended]}
            {call.error && ` (${call.error})`}
          </span>
        )}
        <IconButton
          icon="phone" label={t.call} disabled={!canCall}
          onClick={() => call.start(false)}
        />
        <IconButton
          icon="camera" label={t.callVideo} disabled={!canCall}
          onClick={() => call.start(true)}
        />
      </div>
    );
  if (state === 'ringing')
    return (
      <div
        className="pgpush-call pgpush-ringing"
        role="alertdialog"
        aria-label={t.callFrom(peer.name, call.wantsVideo)}
        lang={locale}
      >
        <Avatar name={peer.name} />
        <strong>{t.callFrom(peer.name, call.wantsVideo)}</strong>
        <span className="pgpush-call-buttons">
          {call.wantsVideo && (
            <IconButton
              icon="camera" label={t.acceptVideo} kind="good"
              onClick={() => call.accept(true)}
            />
          )}
          <IconButton
            icon="phone" label={t.accept} kind="good"
            onClick={() => call.accept(false)}
          />
          <IconButton
            icon="hangUp" label={t.decline} kind="bad"
            onClick={call.decline}
          />
        </span>
      </div>
    );
  return <Talk call={call} peer={peer} locale={locale} />;
}

interface TalkProps {
  call: UseCall;
  peer: Person;
  locale: Locale;
}

function Talk({ call, peer, locale }: TalkProps): ReactNode {
  const t = textsOf(locale);
  const { state, mic, camera, theirs } = call;
  const isSeen = state === 'active' && theirs.camera;
  return (
    <div
      className="pgpush-call pgpush-talk"
      role="group"
      aria-label={t.callOf(peer.name)}
      lang={locale}
    >
      <div className="pgpush-stage">
        <Video
          className="pgpush-remote"
          stream={call.remote}
          label={t.theirVideo(peer.name)}
          hidden={!isSeen}
        />
        {!isSeen && <Avatar name={peer.name} />}
        <Video
          className="pgpush-local"
          stream={call.local}
          label={t.myVideo}
          hidden={!camera}
          muted
        />
        <p className="pgpush-call-state">
          <strong>{peer.name}</strong>{' '}
          <span role="status">
            {state !== 'active' && t.callState[state as 'calling']}
            {state === 'active' && !theirs.mic && t.theirMicOff}
          </span>
          {call.since !== null && <Clock since={call.since} />}
        </p>
      </div>
      {call.error && <p className="pgpush-note" role="alert">{call.error}</p>}
      <div className="pgpush-call-buttons">
        <IconButton
          icon={mic ? 'mic' : 'micOff'}
          label={mic ? t.micOff : t.micOn}
          kind={mic ? undefined : 'off'}
          onClick={() => call.setMic(!mic)}
        />
        <IconButton
          icon={camera ? 'camera' : 'cameraOff'}
          label={camera ? t.cameraOff : t.cameraOn}
          kind={camera ? undefined : 'off'}
          disabled={!call.local}
          onClick={() => void call.setCamera(!camera)}
        />
        <IconButton
          icon="hangUp" label={t.hangUp} kind="bad" onClick={call.hangUp}
        />
      </div>
    </div>
  );
}

interface VideoProps {
  stream: MediaStream | null;
  label: string;
  className: string;
  hidden: boolean;
  muted?: boolean;
}

/** Also where only the sound is wanted: a hidden one plays on. */
function Video({ stream, label, className, hidden, muted }: VideoProps) {
  const ref = useRef<HTMLVideoElement>(null);
  useEffect(() => {
    ref.current!.srcObject = stream;
  }, [stream]);
  return (
    <video
      ref={ref}
      className={`${className} ${hidden ? 'pgpush-hidden' : ''}`}
      aria-label={label}
      aria-hidden={hidden || undefined}
      muted={muted}
      autoPlay
      playsInline
    />
  );
}

function Clock({ since }: { since: number }): ReactNode {
  const [now, setNow] = useState(since);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, [since]);
  const seconds = Math.max(0, Math.floor((now - since) / 1000));
  const two = (n: number) => String(n).padStart(2, '0');
  return (
    <time className="pgpush-clock">
      {two(Math.floor(seconds / 60))}:{two(seconds % 60)}
    </time>
  );
}

interface IconButtonProps {
  icon: Parameters<typeof Icon>[0]['name'];
  label: string;
  kind?: 'good' | 'bad' | 'off';
  disabled?: boolean;
  onClick: () => void;
}

function IconButton(props: IconButtonProps): ReactNode {
  const { icon, label, kind = 'plain', disabled, onClick } = props;
  return (
    <button
      type="button"
      className={`pgpush-icon pgpush-icon-${kind}`}
      aria-label={label}
      title={label}
      disabled={disabled}
      onClick={onClick}
    >
      <Icon name={icon} />
    </button>
  );
}

/** Two notes every two seconds, where the browser lets a page sound. */
function useRingTone(isRinging: boolean): void {
  useEffect(() => {
    if (!isRinging || typeof AudioContext === 'undefined') return;
    const audio = new AudioContext();
    const ring = () => {
      if (audio.state !== 'running') return;
      for (const [i, frequency] of [660, 880].entries()) {
        const from = audio.currentTime + i * 0.25;
        const tone = audio.createOscillator();
        const volume = audio.createGain();
        tone.frequency.value = frequency;
        volume.gain.setValueAtTime(0.1, from);
        volume.gain.exponentialRampToValueAtTime(0.001, from + 0.24);
        tone.connect(volume).connect(audio.destination);
        tone.start(from);
        tone.stop(from + 0.25);
      }
    };
    ring();
    const timer = setInterval(ring, 2000);
    return () => {
      clearInterval(timer);
      void audio.close();
    };
  }, [isRinging]);
}
