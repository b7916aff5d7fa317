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
  /** Requests for an upgrade are answered with 403, others pass. */
  noUpgrade = false;
  /** ms by which all bytes come later. */
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
    const pair = { near, far };
    this.pairs.add(pair);
    far.on('error', () => {});
    const end = () => {
      this.pairs.delete(pair);
      near.destroy();
      far.destroy();
    };
    near.on('close', end);
    far.on('close', end);
    near.on('data', (bytes) => {
      if (/^GET [^]*\r\nupgrade: websocket/i.test(bytes.toString('latin1'))) {
        this.upgrades++;
        if (this.noUpgrade) {
          near.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n');
          return;
        }
      }
      this.pass(bytes, far);
    });
    far.on('data', (bytes) => {
      if (bytes.length >= this.cutAfter) {
        near.end(bytes.subarray(0, this.cutAfter), end);
        this.cutAfter = Infinity;
        return;
      }
      this.cutAfter -= bytes.length;
      this.pass(bytes, near);
    });
  }

  pass(bytes, to) {
    if (this.silent) return;
    if (this.delay > 0)
      setTimeout(() => to.writable && to.write(bytes), this.delay).unref();
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
