// SPDX-License-Identifier: ISC
// What a request may contain. Each function returns the clean value or throws
// the 4xx answer.

import { badRequest, notFound } from './errors.js';

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** An id in the path: one that cannot exist does not exist. */
export function pathId(value, what) {
  if (!UUID.test(value)) throw notFound(`${what} not found`);
  return value.toLowerCase();
}

export function bodyId(value, name) {
  if (typeof value !== 'string' || !UUID.test(value))
    throw badRequest(`${name} must be a uuid`);
  return value.toLowerCase();
}

/** Text with the outer blanks removed, at most max characters. */
export function text(value, name, { max = 10000, empty = false } = {}) {
  if (typeof value !== 'string') throw badRequest(`${name} must be a string`);
  const s = value.trim();
  if (s === '' && !empty) throw badRequest(`${name} must not be empty`);
  if (s.length > max)
    throw badRequest(`${name} is longer than ${max} characters`);
  // PostgreSQL's text cannot hold it.
  if (s.includes('\0')) throw badRequest(`${name} contains a NUL character`);
  return s;
}

export function oneOf(value, name, allowed) {
  if (!allowed.includes(value))
    throw badRequest(`${name} must be one of: ${allowed.join(', ')}`);
  return value;
}

/** Express leaves the body undefined when the request had none. */
export function body(req) {
  const b = req.body;
  if (b === undefined) return {};
  if (b === null || typeof b !== 'object' || Array.isArray(b))
    throw badRequest('the body must be a JSON object');
  return b;
}

/** Of a list: [the id before which it ends or null, how many]. */
export function pageOf({ before, limit = '500' }) {
  const count = Number(limit);
  if (!Number.isInteger(count) || count < 1)
    throw badRequest('limit must be a positive number');
  return [
    before === undefined ? null : bodyId(before, 'before'),
    Math.min(count, 500),
  ];
}
