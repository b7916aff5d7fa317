// SPDX-License-Identifier: ISC
// The same protocol where WebSocket is blocked: frames come as server-sent
// events, read by fetch because an EventSource cannot show a token in a header,
// and go as one POST each.
//
// A stream has one position for all its rooms, so what is to be resumed is in its
// address. If one of them is refused there is no stream: then it is opened with
// none, and each is joined by a POST, from the present. A POST that fails ends the
// link; what had no answer is repeated on the next one.

import type { Hello, Link, LinkEvents } from './link.js';
import type { Frame } from './types.js';

// Said once more: this file is fetched when it is needed, and what it has in
// common with others would be a file of its own.
const LOST = 1006;
const RESTART = 1012;
const UNAUTHORIZED = 4401;
const FORBIDDEN = 4403;

export function openStream(
  fetchIt: typeof fetch,
  url: string,
  { token, since, epoch, rooms }: Hello,
  on: LinkEvents,
): Link {
  const control = new AbortController();
  const { signal } = control;
  let session: string | undefined;
  let retry: string | undefined;
  let open = true;

  const beside = (path: string): string => {
    const full = new URL(path, new URL(url, globalThis.location?.href));
    full.protocol = full.protocol.replace(/^ws/, 'http');
    return full.href;
  };
  const end = (code: number, reason = ''): void => {
    if (!open) return;
    close();
    on.end(code, reason);
  };
  const close = (): void => {
    open = false;
    control.abort();
  };
  const request = (address: string, init: RequestInit): Promise<Response> =>
    fetchIt(address, {
      cache: 'no-store',
      signal,
      ...init,
      headers: { Authorization: `Bearer ${token}`, ...init.headers },
    });

  const receive = (frame: Frame): void => {
    if (frame.type === 'welcome') {
      session = frame.session;
      retry = undefined;
    }
    if (frame.type === 'close') end(frame.code, frame.reason);
    else on.frame(frame);
  };

  const read = async (): Promise<void> => {
    const address = new URL(beside('events'));
    if (since !== undefined) {
      address.searchParams.set('since', String(since));
      address.searchParams.set('epoch', epoch ?? '');
    }
    for (const room of rooms) address.searchParams.append('room', room);
    const response = await request(address.href, {
      headers: { Accept: 'text/event-stream' },
    });
    const type = response.headers.get('Content-Type') ?? '';
    if (!response.ok && response.status !== 401 && rooms.length > 0) {
      rooms = [];
      return read();
    }
    if (!response.ok || !type.startsWith('text/event-stream'))
      return refused(response, end);
    const block = makeParser(receive, (ms) => (retry = ms));
    const reader = response.body!.getReader();
    const decoder = new TextDecoder();
    for (;;) {
      const { done, value } = await reader.read();
      if (!open || done) break;
      on.heard();
      block(decoder.decode(value, { stream: true }));
    }
    // What could not be let in is told when to come again, and no more.
    if (retry === undefined) end(LOST);
    else end(RESTART, `retry=${retry}`);
  };

  const post = async (frame: Frame): Promise<void> => {
    if (!open) return;
    const response = await request(beside('send'), {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ ...frame, session }),
    });
    const tooBig = { error: { code: 'too_big', message: 'too big' } };
    const reply: Frame =
      response.status === 413 ? tooBig : await response.json();
    if (!open) return;
    // Our stream is gone there, whatever it looks like here.
    if (response.status === 401 || response.status === 404) {
      end(LOST);
      return;
    }
    if (frame.type === 'auth' && reply.ok) token = frame.token;
    // It has overtaken what is under way on the stream.
    if (frame.type === 'ping') delete reply.id;
    on.frame({ ok: false, ...reply, type: 'reply', ref: frame.ref });
  };

  // As over one connection: joins do not wait for each other, what else is sent
  // waits for all before it.
  let all: Promise<unknown> = Promise.resolve();
  let others = all;
  const send = (frame: Frame): void => {
    const { type } = frame;
    if (type === 'ping' || type === 'auth') {
      post(frame).catch(() => end(LOST));
      return;
    }
    const done = (type === 'join' ? others : all)
      .then(() => post(frame))
      .catch(() => end(LOST));
    all = Promise.all([all, done]);
    if (type !== 'join') others = all;
  };

  read().catch(() => end(LOST));
  return { name: 'sse', send, close };
}

/** A status that is no stream's: what it would have been as a close. */
async function refused(
  response: Response,
  end: (code: number, reason: string) => void,
): Promise<void> {
  const { error } = await response.json().catch(() => ({}));
  const reason = error?.message ?? '';
  if (response.status === 401) end(UNAUTHORIZED, reason);
  // Without our kind of error it is a proxy's.
  else if (response.status === 403 && error) end(FORBIDDEN, reason);
  // A page that is none of the daemon's; it is away if the status is 5xx.
  else if (error || response.status >= 500) end(LOST, reason);
  else
    end(LOST, `${response.url} answered ${response.status} ${
      response.headers.get('Content-Type') ?? ''}`);
}

/** Feed it text, cut anywhere; it calls back for each frame. */
function makeParser(
  receive: (frame: Frame) => void,
  setRetry: (ms: string) => void,
): (text: string) => void {
  let rest = '';
  let data: string[] = [];
  let id = '';
  const line = (text: string): void => {
    const [, name, value = ''] = /^([^:]*)(?:: ?(.*))?$/s.exec(text)!;
    if (name === 'data') data.push(value);
    else if (name === 'id') id = value;
    else if (name === 'retry') setRetry(value);
    else if (text === '') {
      if (data.length > 0) receive(JSON.parse(data.join('\n')) as Frame);
      // The heartbeat is a position alone, "<epoch>.<id>".
      else if (id !== '') {
        const [, epoch, n] = /^(?:(.*)\.)?(.*)$/.exec(id)!;
        receive({ type: 'at', id: Number(n), epoch });
      }
      data = [];
      id = '';
    }
  };
  return (text) => {
    rest += text;
    if (!text.includes('\n')) return;
    const lines = rest.split('\n');
    rest = lines.pop()!;
    for (const one of lines) line(one);
  };
}
