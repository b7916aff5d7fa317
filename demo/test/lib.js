// SPDX-License-Identifier: ISC
// What the tests share. Each test makes its own people and order, so that no
// test sees another's rows.

import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { deflateSync } from 'node:zlib';
import jwt from 'jsonwebtoken';
import pg from 'pg';

export const BASE = process.env.PUSH_DEMO_URL;
if (!BASE) throw new Error('run by: npm test');
const VAR = process.env.PUSH_VAR;

export const SECRET = readFileSync(path.join(VAR, 'jwt.secret'), 'utf8');

/** A superuser's pool on the database under test. */
export function openPool() {
  const passwords = readFileSync(path.join(VAR, 'pgpass'), 'utf8');
  return new pg.Pool({
    password: /:postgres:(.*)$/m.exec(passwords)[1],
    host: '127.0.0.1',
    port: Number(process.env.PUSH_PG_PORT),
    database: 'pgpush',
    user: 'postgres',
    max: 3,
  });
}

/** A client, a performer, an admin, a stranger, and an order of the first two. */
export async function makeWorld(pool) {
  const world = {};
  const tag = randomUUID().slice(0, 8);
  for (const [who, name, role] of [
    ['client', 'Clara Bondarenko', 'client'],
    ['performer', 'Pavlo Kravets', 'performer'],
    ['admin', 'Ada Marchenko', 'admin'],
    ['stranger', 'Stefan Hrytsenko', 'client'],
  ]) {
    // In lists these come after the four of the demo.
    const email = `test-${who}-${tag}@test.test`;
    const { rows } = await pool.query(
      `INSERT INTO users (name, email, role) VALUES ($1, $2, $3)
       RETURNING id, name, email, role`,
      [name, email, role],
    );
    world[who] = rows[0];
    world[who].token = tokenOf(rows[0]);
  }
  world.order = await makeOrder(pool, world, `Poster for a concert ${tag}`);
  return world;
}

export async function makeOrder(pool, { client, performer }, title) {
  const { rows } = await pool.query(
    `INSERT INTO orders (client_id, performer_id, title, status, price)
     VALUES ($1, $2, $3, 'in_progress', 100) RETURNING id, title`,
    [client.id, performer.id, title],
  );
  return rows[0];
}

export const tokenOf = ({ id, role }, options = { expiresIn: 3600 }) =>
  jwt.sign({ id, role }, SECRET, { algorithm: 'HS256', ...options });

/** { status, body } of a request by user (or nobody). */
export async function request(user, method, url, body, headers = {}) {
  const isBytes = body instanceof Uint8Array;
  const response = await fetch(`${BASE}${url}`, {
    method,
    headers: {
      ...(user ? { Authorization: `Bearer ${user.token ?? user}` } : {}),
      ...(body !== undefined && !isBytes
        ? { 'Content-Type': 'application/json' }
        : {}),
      ...headers,
    },
    body:
      body === undefined || isBytes || typeof body === 'string'
        ? body
        : JSON.stringify(body),
  });
  const answer = await response.text();
  let parsed = answer;
  try {
    parsed = JSON.parse(answer);
  } catch {
    // Not every answer is JSON.
  }
  return { status: response.status, body: parsed, headers: response.headers };
}

function pngChunk(type, data) {
  const body = Buffer.concat([Buffer.from(type), data]);
  const chunk = Buffer.alloc(body.length + 8);
  chunk.writeUInt32BE(data.length);
  body.copy(chunk, 4);
  chunk.writeUInt32BE(crc32(body), body.length + 4);
  return chunk;
}

function crc32(bytes) {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let i = 0; i < 8; i++) crc = (crc >>> 1) ^ (crc & 1 && 0xedb88320);
  }
  return ~crc >>> 0;
}

/** A picture: waves in two colours. */
function makePng(width, height) {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width);
  header.writeUInt32BE(height, 4);
  header.set([8, 2], 8); // 8 bits, RGB
  const lines = Buffer.alloc((width * 3 + 1) * height);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const wave = Math.sin((x + 20 * Math.sin(y / 15)) / 12) > 0;
      lines.set(
        wave ? [31, 95, 191] : [227, 237, 251],
        y * (width * 3 + 1) + 1 + x * 3,
      );
    }
  return Buffer.concat([
    Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]),
    pngChunk('IHDR', header),
    pngChunk('IDAT', deflateSync(lines)),
    pngChunk('IEND', Buffer.alloc(0)),
  ]);
}

export const PNG = makePng(320, 200);

/** Machines of the tests are slow and busy. */
export const LIMIT_MS = 60_000;

/** Resolves when check() is true; fails after ms. */
export async function until(check, what, ms = LIMIT_MS) {
  const end = Date.now() + ms;
  for (;;) {
    const found = await check();
    if (found) return found;
    if (Date.now() > end) throw new Error(`never happened: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
