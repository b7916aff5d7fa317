// SPDX-License-Identifier: ISC
// What the two transports have in common. A link carries frames of
// pgpush-protocol(7) both ways until its end; each end is told once, with the
// close code of the protocol, and nothing is told after it or after close().

import type { Frame, TransportName } from './types.js';

/** What a link begins with: the position, and for a stream also the rooms that
 * are to go on from there, since it cannot go back for one of them later. */
export interface Hello {
  token: string;
  since?: number;
  epoch?: string;
  rooms: string[];
}

export interface LinkEvents {
  frame(frame: Frame): void;
  /** Bytes came, so the link lives. */
  heard(): void;
  end(code: number, reason: string): void;
}

export interface Link {
  readonly name: TransportName;
  send(frame: Frame): void;
  close(): void;
}

export const BAD_FRAME = 4400;
export const UNAUTHORIZED = 4401;
export const FORBIDDEN = 4403;
export const TOO_BIG = 1009;
/** Our own: a frame of some tab could not be read, of which is not known. */
export const BAD_SHARED = 4499;
/** Our own: no close code came. */
export const LOST = 1006;

/** A link whose code is fetched when it is needed for the first time. */
export function openLater(
  name: TransportName,
  load: () => Promise<Link>,
  on: LinkEvents,
): Link {
  let link: Link | null = null;
  let open = true;
  const waiting: Frame[] = [];
  load().then(
    (loaded) => {
      link = loaded;
      if (!open) link.close();
      else for (const frame of waiting) link.send(frame);
    },
    () => open && on.end(LOST, ''),
  );
  return {
    name,
    send: (frame) => (link ? link.send(frame) : void waiting.push(frame)),
    close: () => {
      open = false;
      link?.close();
    },
  };
}

/** An address beside the daemon's /ws, for this scheme ("ws" or "http"). */
export function beside(url: string, path: string, scheme: string): string {
  const full = new URL(url, globalThis.location?.href);
  if (!/^(ws|http)s?:$/.test(full.protocol)) throw new TypeError(url);
  full.protocol = full.protocol.replace(/^(ws|http)/, scheme);
  return path ? new URL(path, full).href : full.href;
}
