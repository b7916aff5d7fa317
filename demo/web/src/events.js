// SPDX-License-Identifier: ISC
// What came over the wire, for the inspector: the newest first, of all panes.

const KEPT = 500;
/** The moment in an event at which its row was written. */
const TIMES = ['updatedAt', 'readAt', 'createdAt'];

const encoder = new TextEncoder();
const listeners = new Set();
let events = [];
let count = 0;

export const subscribe = (listener) => {
  listeners.add(listener);
  return () => listeners.delete(listener);
};
export const seen = () => events;

function change(to) {
  events = to;
  for (const listener of listeners) listener();
}
export const clear = () => change([]);

function writtenAt(data) {
  const name = TIMES.find((time) => typeof data?.[time] === 'string');
  return name ? Date.parse(data[name]) : null;
}

/** Hands over when what the event changed is on the screen. */
function whenShown(tell) {
  if (document.visibilityState === 'hidden') setTimeout(tell);
  else requestAnimationFrame(() => setTimeout(tell));
}

/** inspected is what a client's "event" handlers get. */
export function record(who, inspected) {
  const { room, event, id, data, at } = inspected;
  const json = JSON.stringify(data) ?? '';
  const entry = {
    key: ++count,
    who,
    room,
    event,
    id,
    at,
    data,
    bytes: encoder.encode(json).length,
    written: writtenAt(data),
    shown: null,
    words: `${who} ${room} ${event} ${id} ${json}`.toLowerCase(),
  };
  change([entry, ...events].slice(0, KEPT));
  whenShown(() => {
    const shown = Date.now();
    change(events.map((e) => (e === entry ? { ...e, shown } : e)));
  });
}
