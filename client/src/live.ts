// SPDX-License-Identifier: ISC
// A list and its events in one: what the application's API gives, kept up to
// date by what a room tells.
//
// What always holds: the list is fetched after the join was answered, so that
// nothing is committed unseen between the two. What is told while the list is
// on its way is written down and done again on top of it, in its order. So
// whichever copy of a row is the older one, the list ends up right.

import { backoff } from './backoff.js';
import { inTurn, isLost, Outbox } from './outbox.js';
import { makeKey } from './sends.js';
import type { Client, JoinOptions, Meta, Room, RoomState } from './types.js';

export interface Page<Row> {
  /** The oldest row that is known: fetch what was before. Else the newest. */
  before?: Row;
  limit: number;
  signal: AbortSignal;
}

/** What an event does with the list. */
export interface Changes<Row> {
  /** In: a new row, or what is newer of a known one. */
  put(row: Row): void;
  /** Of a row that may be there; of one that is not, nothing. */
  change(key: string, change: Partial<Row> | ((row: Row) => Row)): void;
  remove(key: string): void;
  /** Of every row. */
  each(change: (row: Row) => Row): void;
}

/** A row that it gives back is put. */
export type On<Row> = (
  data: any,
  changes: Changes<Row>,
  meta: Meta,
) => Row | readonly Row[] | void | null | undefined;

export interface LiveOptions<Row> {
  /**
   * The newest rows, or those before `before`, the oldest first unless there is
   * `compare`. Without pages, all there are. With `more` one says whether there
   * are older ones; without it, a full page means that there may be.
   */
  load(page: Page<Row>): Promise<readonly Row[] | { rows: readonly Row[]; more: boolean }>;
  key(row: Row): string;
  on: Record<string, On<Row>>;
  /** The order; as they came by default, the newest last. */
  compare?(a: Row, b: Row): number;
  /** Rows of a page, 50 by default. */
  limit?: number;
  /** As of room.join(). */
  join?: JoinOptions;
  /**
   * Writes a row that add() has shown already, and gives it back as it is in
   * the database. `id` is the same with each try: an idempotency key.
   */
  write?(row: Row, id: string): Promise<Row | void>;
  /** Whether a row is the one that we are writing. By its key by default. */
  same?(draft: Row, row: Row): boolean;
  /** What could not be written is kept by this name, over reloads, too. */
  keep?: string;
}

export interface LiveItem<Row> {
  /** The same from the first moment of a row that was added here. */
  id: string;
  row: Row;
  state: 'saved' | 'sending' | 'failed';
  error?: unknown;
}

export interface LiveState<Row> {
  items: readonly LiveItem<Row>[];
  rows: readonly Row[];
  /** The first page is there. */
  loaded: boolean;
  loading: boolean;
  /** There may be older rows. */
  more: boolean;
  /** Why the last load failed; it is tried again by itself. */
  error: unknown;
  /** Of the room. */
  state: RoomState;
}

export interface Live<Row> extends Changes<Row> {
  snapshot(): LiveState<Row>;
  subscribe(tell: () => void): () => void;
  /** In the room from now on; gives back how to stop. */
  start(): () => void;
  reload(): Promise<void>;
  loadMore(): Promise<void>;
  /** Shows it at once, and writes it. Resolves when it is there. */
  add(row: Row): Promise<void>;
  retry(id: string): Promise<void>;
  discard(id: string): void;
}

interface Draft<Row> {
  id: string;
  row: Row;
  /** Rows that look like it and are others: they were there before. */
  twins: string[];
  state: 'sending' | 'failed';
  error?: unknown;
}

type Step<Row> = (rows: Map<string, Row>) => void;

export function live<Row>(
  client: Client,
  room: string,
  options: LiveOptions<Row> | (() => LiveOptions<Row>),
): Live<Row> {
  return new Store(client, room, options);
}

class Store<Row> implements Live<Row> {
  #client: Client;
  #name: string;
  #room: Room | null = null;
  #options: () => LiveOptions<Row>;
  #rows = new Map<string, Row>();
  #drafts: Draft<Row>[] = [];
  /** Rows that were drafts here: what they are called. */
  #ids = new Map<string, string>();
  /** What was done since the load under way began; null: there is none. */
  #journal: Step<Row>[] | null = null;
  #again = false;
  #control: AbortController | null = null;
  #starts = 0;
  /** Loads, and writes, that have failed one after the other. */
  #failures = 0;
  #lost = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #outbox: Outbox<Row> | null = null;
  #listeners = new Set<() => void>();
  #items = new Map<string, LiveItem<Row>>();
  #state: LiveState<Row> = {
    items: [], rows: [], loaded: false, loading: false, more: false,
    error: null, state: 'left',
  };

  constructor(
    client: Client,
    name: string,
    options: LiveOptions<Row> | (() => LiveOptions<Row>),
  ) {
    this.#client = client;
    this.#name = name;
    this.#options = typeof options === 'function' ? options : () => options;
  }

  snapshot = (): LiveState<Row> => this.#state;

  subscribe = (tell: () => void): (() => void) => {
    this.#listeners.add(tell);
    return () => this.#listeners.delete(tell);
  };

  start(): () => void {
    const { keep } = this.#options();
    this.#outbox = keep === undefined ? null : new Outbox(keep);
    this.#starts++;
    const mine = this.#starts;
    const room = this.#client.room(this.#name);
    this.#room = room;
    const offs = [
      room.on('joined', ({ resumed }: { resumed: boolean }) => {
        // What waits may have been written: the list tells.
        if (!resumed || !this.#state.loaded || this.#waiting().length > 0)
          void this.reload();
        this.#tell();
      }),
      room.on('reset', () => void this.reload()),
      room.on('left', () => this.#tell()),
      room.on('error', () => this.#tell()),
      room.on('*', (data, meta) => this.#hear(data, meta)),
      this.#client.on('stale', () => void this.reload()),
      this.#client.on('status', () => this.#tell()),
    ];
    this.#recall();
    room.join(this.#options().join ?? {});
    // It was there before us, and says no more.
    if (room.state === 'joined') void this.reload();
    this.#tell();
    return () => {
      for (const off of offs) off();
      room.leave();
      if (mine !== this.#starts) return;
      this.#starts++;
      clearTimeout(this.#timer);
      this.#control?.abort();
      this.#control = this.#journal = null;
      this.#again = false;
    };
  }

  // --- what is told

  #hear(data: unknown, meta: Meta): void {
    const { on } = this.#options();
    if (!Object.hasOwn(on, meta.event)) return;
    const given = on[meta.event]!(data, this, meta);
    if (Array.isArray(given)) for (const row of given) this.put(row);
    else if (given) this.put(given as Row);
  }

  put = (row: Row): void =>
    this.#do((rows) => {
      const key = this.#keyOf(row);
      const old = rows.get(key);
      rows.set(key, old === undefined ? row : { ...old, ...row });
    });

  change = (
    key: string,
    change: Partial<Row> | ((row: Row) => Row),
  ): void =>
    this.#do((rows) => {
      const old = rows.get(key);
      if (old === undefined) return;
      rows.set(
        key,
        typeof change === 'function' ? change(old) : { ...old, ...change },
      );
    });

  remove = (key: string): void => this.#do((rows) => rows.delete(key));

  each = (change: (row: Row) => Row): void =>
    this.#do((rows) => {
      for (const [key, row] of rows) rows.set(key, change(row));
    });

  #do(step: Step<Row>): void {
    step(this.#rows);
    this.#journal?.push(step);
    this.#tell();
  }

  // --- the list

  reload = async (): Promise<void> => {
    if (this.#journal) {
      // What is on its way may be from before.
      this.#again = true;
      return;
    }
    const { limit = 50 } = this.#options();
    const start = this.#starts;
    clearTimeout(this.#timer);
    this.#journal = [];
    this.#set({ loading: true });
    try {
      let page;
      do {
        this.#again = false;
        page = await this.#fetch({ limit: Math.max(limit, this.#rows.size) });
        if (start !== this.#starts) return;
      } while (this.#again);
      // What is not in the list any more is gone.
      this.#rows = new Map(page.rows.map((row) => [this.#keyOf(row), row]));
      for (const step of this.#journal) step(this.#rows);
      this.#failures = 0;
      this.#set({ loaded: true, more: page.more, error: null });
    } catch (error) {
      if (start !== this.#starts) return;
      this.#set({ error });
      this.#plan(this.#failures++);
    }
    this.#journal = null;
    this.#set({ loading: false });
    if (this.#state.loaded) void this.#flush();
  };

  #plan(failures: number): void {
    clearTimeout(this.#timer);
    const ms = backoff(failures, 1000, 30_000);
    this.#timer = setTimeout(() => void this.reload(), ms);
  }

  loadMore = async (): Promise<void> => {
    const before = this.#state.rows[0];
    if (this.#journal || !this.#state.more || before === undefined) return;
    const { limit = 50 } = this.#options();
    const start = this.#starts;
    this.#journal = [];
    this.#set({ loading: true });
    try {
      const page = await this.#fetch({ before, limit });
      if (start !== this.#starts) return;
      const older = page.rows.filter((row) => !this.#rows.has(this.#keyOf(row)));
      const rows = new Map(older.map((row) => [this.#keyOf(row), row]));
      for (const step of this.#journal) step(rows);
      for (const [key, row] of this.#rows) rows.set(key, row);
      // One that was removed meanwhile is not among ours, nor in the page.
      this.#rows = rows;
      this.#set({ more: page.more && older.length > 0, error: null });
    } catch (error) {
      if (start !== this.#starts) return;
      this.#set({ error });
    }
    this.#journal = null;
    this.#set({ loading: false });
    if (this.#again) void this.reload();
  };

  async #fetch(page: Omit<Page<Row>, 'signal'>) {
    this.#control = new AbortController();
    const { signal } = this.#control;
    const given = await this.#options().load({ ...page, signal });
    if ('more' in given) return given;
    const rows = given as readonly Row[];
    // More than were asked for: it knows no pages, and these are all.
    return { rows, more: rows.length === page.limit };
  }

  #keyOf(row: Row): string {
    return this.#options().key(row);
  }

  // --- what is added here

  add = async (row: Row): Promise<void> => {
    const { same } = this.#options();
    const twins = [...this.#rows]
      .filter(([, other]) => same?.(row, other))
      .map(([key]) => key);
    const draft: Draft<Row> = { id: makeKey(), row, twins, state: 'sending' };
    this.#drafts.push(draft);
    this.#outbox?.keep({ id: draft.id, data: row, twins });
    this.#tell();
    await this.#write(draft);
  };

  retry = async (id: string): Promise<void> => {
    const draft = this.#drafts.find((d) => d.id === id);
    if (!draft || draft.state === 'sending') return;
    draft.state = 'sending';
    this.#tell();
    await this.#write(draft);
  };

  discard = (id: string): void => {
    this.#settle(id);
    this.#tell();
  };

  async #write(draft: Draft<Row>): Promise<void> {
    const { write } = this.#options();
    if (!write) throw new TypeError('add() needs the option write');
    try {
      const row = await write(draft.row, draft.id);
      if (row) this.#become(draft, row);
      this.#settle(draft.id);
      this.#lost = 0;
    } catch (error) {
      Object.assign(draft, { state: 'failed', error });
      // What the server does not want it will not want tomorrow.
      if (!isLost(error)) this.#outbox?.drop(draft.id);
      else if (this.#outbox && this.#room?.state === 'joined')
        this.#plan(this.#lost++);
    }
    this.#tell();
  }

  #become(draft: Draft<Row>, row: Row): void {
    this.#ids.set(this.#keyOf(row), draft.id);
    this.put(row);
  }

  #settle(id: string): void {
    this.#drafts = this.#drafts.filter((d) => d.id !== id);
    this.#outbox?.drop(id);
  }

  /** What an earlier page has left here. */
  #recall(): void {
    for (const { id, data, twins } of this.#outbox?.list() ?? [])
      if (!this.#drafts.some((d) => d.id === id))
        this.#drafts.push({ id, row: data, twins, state: 'failed' });
  }

  #waiting(): Draft<Row>[] {
    return this.#outbox
      ? this.#drafts.filter(
          (d) => d.state === 'failed' && (!d.error || isLost(d.error)))
      : [];
  }

  /** Once more what has not come there, after the list was fetched. */
  async #flush(): Promise<void> {
    const outbox = this.#outbox;
    if (this.#journal || this.#waiting().length === 0) return;
    await inTurn(this.#options().keep!, async () => {
      for (const draft of this.#waiting())
        // Another tab may have sent it.
        if (outbox!.has(draft.id)) await this.retry(draft.id);
        else this.#settle(draft.id);
    });
    this.#tell();
  }

  // --- what is shown

  /** Rows that are drafts, as far as one can tell. */
  #claim(): void {
    const { same } = this.#options();
    if (!same) return;
    for (const draft of [...this.#drafts])
      for (const [key, row] of this.#rows)
        if (
          !this.#ids.has(key) &&
          !draft.twins.includes(key) &&
          same(draft.row, row)
        ) {
          this.#ids.set(key, draft.id);
          this.#settle(draft.id);
          break;
        }
  }

  #set(change: Partial<LiveState<Row>>): void {
    this.#state = { ...this.#state, ...change };
    this.#tell();
  }

  #tell(): void {
    this.#claim();
    const { compare } = this.#options();
    const rows = [...this.#rows.values()];
    if (compare) rows.sort(compare);
    const items = rows.map((row) => this.#item(row));
    for (const { id, row, state, error } of this.#drafts)
      items.push({ id, row, state, error });
    this.#items = new Map(items.map((item) => [item.id, item]));
    const was = this.#state;
    const isSame =
      was.items.length === items.length &&
      was.items.every((item, i) => item === items[i]);
    this.#state = {
      ...was,
      ...(isSame ? {} : { items, rows }),
      state: this.#room?.state ?? 'left',
    };
    for (const tell of [...this.#listeners]) tell();
  }

  /** The same object while nothing of it changes: memo() looks at that. */
  #item(row: Row): LiveItem<Row> {
    const key = this.#keyOf(row);
    const id = this.#ids.get(key) ?? key;
    const known = this.#items.get(id);
    return known?.row === row && known.state === 'saved'
      ? known
      : { id, row, state: 'saved' };
  }
}
