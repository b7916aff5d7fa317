'use client';
// SPDX-License-Identifier: ISC
// What goes over the wire, for developers: frames, rooms with their positions,
// and switches to see how a page takes a bad network.

import { useEffect, useState, type ReactNode } from 'react';
import type { Client, Frame } from '../types.js';
import { usePush, useStatus } from '../react/provider.js';

export interface PushDevtoolsProps {
  /** That of the provider above by default. */
  client?: Client;
  /** Frames that are kept, 300 by default. */
  limit?: number;
  startOpen?: boolean;
}

interface Line {
  key: number;
  at: number;
  out: boolean;
  frame: Frame;
  /** ms from a question to its answer, or from the row to here. */
  took: number | null;
}

export function PushDevtools(props: PushDevtoolsProps): ReactNode {
  const above = usePush();
  const client = props.client ?? above;
  const [isOpen, setOpen] = useState(props.startOpen ?? false);
  const status = useStatus();
  return (
    <aside className="pgpush-dev" aria-label="pgpush">
      <button
        type="button"
        aria-expanded={isOpen}
        onClick={() => setOpen(!isOpen)}
      >
        pgpush: {status}
      </button>
      {isOpen && <Panel client={client} limit={props.limit ?? 300} />}
    </aside>
  );
}

function Panel({ client, limit }: { client: Client; limit: number }): ReactNode {
  const lines = useLines(client, limit);
  const [filter, setFilter] = useState('');
  const [slow, setSlow] = useState(0);
  const { tools } = client;
  const shown = lines.filter(({ frame }) =>
    JSON.stringify(frame).toLowerCase().includes(filter.toLowerCase()));
  return (
    <div>
      <p>
        user {client.user ?? '–'}, session {client.session ?? '–'}{' '}
        <button type="button" onClick={() => tools.cut()}>Cut</button>{' '}
        <label>
          Slow down by{' '}
          <select
            value={slow}
            onChange={({ target }) => {
              setSlow(Number(target.value));
              tools.slow(Number(target.value));
            }}
          >
            {[0, 200, 1000, 5000].map((ms) => (
              <option key={ms} value={ms}>{ms} ms</option>
            ))}
          </select>
        </label>{' '}
        <input
          type="search" aria-label="Filter" placeholder="Filter" value={filter}
          onChange={({ target }) => setFilter(target.value)}
        />
      </p>
      <table>
        <caption>Rooms</caption>
        <thead>
          <tr><th>Room</th><th>State</th><th>Position</th></tr>
        </thead>
        <tbody>
          {tools.rooms().map(({ name, state, id }) => (
            <tr key={name}><td>{name}</td><td>{state}</td><td>{id ?? '–'}</td></tr>
          ))}
        </tbody>
      </table>
      <ol aria-label="Frames" tabIndex={0}>
        {shown.map(({ key, out, frame, took }) => (
          <li key={key} data-out={out || undefined}>
            <details>
              <summary>
                {out ? '←' : '→'} {frame.type} {frame.event} {frame.room}{' '}
                {frame.id} {took !== null && `${took} ms`}
              </summary>
              <pre>{JSON.stringify(frame, null, 2)}</pre>
            </details>
          </li>
        ))}
      </ol>
    </div>
  );
}

function useLines(client: Client, limit: number): readonly Line[] {
  const [lines, setLines] = useState<readonly Line[]>([]);
  useEffect(() => {
    let count = 0;
    const asked = new Map<unknown, number>();
    return client.tools.watch(({ out, frame }) => {
      const at = Date.now();
      if (out) asked.set(frame.ref, at);
      const { createdAt } = (frame.data ?? {}) as { createdAt?: string };
      const since =
        frame.type === 'reply' ? asked.get(frame.ref)
        : createdAt ? Date.parse(createdAt)
        : undefined;
      if (!out) asked.delete(frame.ref);
      const took = since === undefined ? null : at - since;
      const line = { key: ++count, at, out, frame, took };
      setLines((was) => [line, ...was].slice(0, limit));
    });
  }, [client, limit]);
  return lines;
}
