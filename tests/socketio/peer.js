// SPDX-License-Identifier: ISC
// What the conformance tests share: a server that answers as the protocol
// suites describe, ours or (PUSH_REFERENCE=1) the reference, and clients that
// speak bytes.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import WebSocket from 'ws';

const here = fileURLToPath(new URL('.', import.meta.url));
export const LIMIT_MS = 20_000;

export async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  return port;
}

/** Start a server; kind is engine or socket. Returns {port, stop}. */
export async function startPeer(kind) {
  const port = await freePort();
  const build = process.env.PGPUSH_BUILDDIR ?? path.resolve(here, '../..');
  const child = process.env.PUSH_REFERENCE
    ? spawn(process.execPath, [path.join(here, 'reference.js'), kind, port])
    : spawn(path.join(build, 'tests', kind === 'engine' ? 'eioecho' : 'sioecho'), [port]);
  child.stderr.pipe(process.stderr);
  const ended = once(child, 'exit');
  process.once('exit', () => child.kill('SIGKILL'));
  for (;;) {
    const socket = net.connect(port, '127.0.0.1');
    const up = await new Promise((resolve) => {
      socket.once('connect', () => resolve(true));
      socket.once('error', () => resolve(false));
    });
    socket.destroy();
    if (up) break;
    if (child.exitCode !== null) throw new Error(`${kind} ended with ${child.exitCode}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return {
    port,
    stop: async () => {
      child.kill('SIGTERM');
      const [code] = await ended;
      if (code !== 0 && !process.env.PUSH_REFERENCE)
        throw new Error(`${kind} ended with status ${code}`);
    },
  };
}

/** One HTTP request; {status, headers, body}. */
export function request(port, method, target, body, headers = {}) {
  return new Promise((resolve, reject) => {
    const req = http.request(
      { port, host: '127.0.0.1', method, path: target, headers, agent: false },
      (res) => {
        const parts = [];
        res.on('data', (part) => parts.push(part));
        res.on('end', () =>
          resolve({
            status: res.statusCode,
            headers: res.headers,
            body: Buffer.concat(parts).toString(),
          }),
        );
      },
    );
    req.setTimeout(LIMIT_MS, () => req.destroy(new Error(`no answer to ${method} ${target}`)));
    req.on('error', reject);
    req.end(body);
  });
}

/** A polling client of raw payloads. */
export class Poller {
  constructor(port, base) {
    this.port = port;
    this.base = `${base}/?EIO=4&transport=polling`;
  }

  target() {
    return `${this.base}${this.sid ? `&sid=${this.sid}` : ''}`;
  }

  get(headers) {
    return request(this.port, 'GET', this.target(), undefined, headers);
  }

  post(body, headers) {
    return request(this.port, 'POST', this.target(), body, headers);
  }

  async open() {
    const { body } = await this.get();
    this.hello = JSON.parse(body.slice(1));
    this.sid = this.hello.sid;
    return this.hello;
  }

  /** Packets of the next GETs until there are n; pings are answered. */
  async packets(n) {
    const got = [];
    while (got.length < n) {
      const { status, body } = await this.get();
      if (status !== 200) throw new Error(`GET: ${status} ${body}`);
      for (const packet of body.split('\x1e'))
        if (packet === '2') await this.post('3');
        else got.push(packet);
    }
    return got;
  }
}

/** A WebSocket that keeps what it hears until it is asked for. */
export class Line {
  constructor(port, target) {
    this.heard = [];
    this.waiting = [];
    this.ws = new WebSocket(`ws://127.0.0.1:${port}${target}`);
    this.ws.binaryType = 'nodebuffer';
    this.ws.on('message', (data, binary) => this.give(binary ? data : data.toString()));
    this.ws.on('error', (error) => {
      this.error = error;
    });
    this.closed = new Promise((resolve) =>
      this.ws.on('close', (code) => {
        this.give(null);
        resolve(code);
      }),
    );
  }

  give(message) {
    const next = this.waiting.shift();
    if (next) next(message);
    else this.heard.push(message);
  }

  /** The next message; null if the connection has closed. */
  next() {
    if (this.heard.length > 0) return Promise.resolve(this.heard.shift());
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error('no message')), LIMIT_MS);
      this.waiting.push((message) => {
        clearTimeout(timer);
        resolve(message);
      });
    });
  }

  /** The next one that is no ping; pings are answered. */
  async past() {
    for (;;) {
      const message = await this.next();
      if (message !== '2') return message;
      this.send('3');
    }
  }

  send(data) {
    this.ws.send(data);
  }

  async opened() {
    if (this.ws.readyState === WebSocket.CONNECTING)
      await Promise.race([once(this.ws, 'open'), this.closed]);
    return this;
  }

  end() {
    this.ws.terminate();
  }
}

/** A WebSocket with its Engine.IO session open. */
export async function openLine(port, base) {
  const line = new Line(port, `${base}/?EIO=4&transport=websocket`);
  line.hello = JSON.parse((await line.next()).slice(1));
  return line;
}
