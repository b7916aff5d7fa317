// SPDX-License-Identifier: ISC
// A TCP proxy that misbehaves as networks do.

import { once } from 'node:events';
import { createServer, connect } from 'node:net';

export class Proxy {
  static async start(target) {
    const proxy = new Proxy(target);
    proxy.server.listen(0, '127.0.0.1');
    await once(proxy.server, 'listening');
    return proxy;
  }

  /** Connections are refused. */
  refusing = false;
  /** Bytes are taken and go nowhere. */
  silent = false;
  /** Requests for an upgrade are answered with 403, others pass; a number: so
   *  many more. */
  noUpgrade = false;
  /** The same for connections that began with a request for a stream. */
  silentStreams = false;
  /** ms by which all bytes come later; or a function, asked per connection. */
  delay = 0;
  /** How many came, how many of them wanted WebSocket. */
  connections = 0;
  upgrades = 0;
  /** After so many more bytes to the client its connection is cut. */
  cutAfter = Infinity;

  constructor(target) {
    this.target = target;
    this.pairs = new Set();
    this.server = createServer((near) => this.accept(near));
    this.server.unref();
  }

  get port() {
    return this.server.address().port;
  }

  accept(near) {
    this.connections++;
    near.on('error', () => {});
    if (this.refusing) {
      near.destroy();
      return;
    }
    const far = connect(this.target, '127.0.0.1');
    const delay = typeof this.delay === 'function' ? this.delay() : null;
    const pair = { near, far, isStream: false, delay };
    this.pairs.add(pair);
    far.on('error', () => {});
    const end = () => {
      this.pairs.delete(pair);
      near.destroy();
      far.destroy();
    };
    near.on('close', end);
    far.on('close', () => {
      const ms = delay ?? this.delay;
      // Not before the bytes that are on their way.
      if (ms > 0) setTimeout(end, ms + 1).unref();
      else end();
    });
    near.on('data', (bytes) => {
      if (/^GET [^]*\r\nupgrade: websocket/i.test(bytes.toString('latin1'))) {
        this.upgrades++;
        if (this.noUpgrade) {
          if (this.noUpgrade !== true) this.noUpgrade--;
          near.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n');
          return;
        }
      }
      pair.isStream ||= bytes.subarray(0, 11).equals(Buffer.from('GET /events'));
      this.pass(bytes, far, pair);
    });
    far.on('data', (bytes) => {
      if (bytes.length >= this.cutAfter) {
        near.end(bytes.subarray(0, this.cutAfter), end);
        this.cutAfter = Infinity;
        return;
      }
      this.cutAfter -= bytes.length;
      this.pass(bytes, near, pair);
    });
  }

  pass(bytes, to, { isStream, delay }) {
    if (this.silent || (isStream && this.silentStreams)) return;
    const ms = delay ?? this.delay;
    if (ms > 0)
      setTimeout(() => to.writable && to.write(bytes), ms).unref();
    else to.write(bytes);
  }

  cut() {
    for (const { near, far } of this.pairs) {
      near.destroy();
      far.destroy();
    }
  }

  stop() {
    this.cut();
    this.server.close();
  }
}
