// SPDX-License-Identifier: ISC
// npm test: starts everything by script/server, in a folder and on ports of
// its own, runs the test files against it and ends it again. Arguments are
// test files, else all are run.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { freePorts } from './ports.js';

const here = fileURLToPath(new URL('.', import.meta.url));
const top = path.resolve(here, '../..');
const shared = path.resolve(process.env.PUSH_VAR ?? path.join(top, 'var'));
const folder = path.join(shared, 'demo-test');

// Whatever was started is ended when we are.
const children = [];
for (const signal of ['SIGINT', 'SIGTERM'])
  process.once(signal, () => children.forEach((c) => c.kill('SIGTERM')));

function start(...args) {
  const child = spawn(...args);
  children.push(child);
  return child;
}

async function startServer(env) {
  const child = start(path.join(top, 'script/server'), [], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit').then(([code]) => {
    throw new Error(`script/server ended with ${code}`);
  });
  const ready = once(createInterface(child.stdout), 'line');
  const [line] = await Promise.race([ready, exited]);
  exited.catch(() => {});
  return { child, exited, url: line.replace(/^ready /, '').replace(/\/$/, '') };
}

async function main() {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const [demo, daemon, pg] = await freePorts(3);
  const env = {
    ...process.env,
    PUSH_VAR: folder,
    PUSH_BUILD: process.env.PUSH_BUILD ?? path.join(shared, 'build'),
    PUSH_DEMO_PORT: demo,
    PUSH_PORT: daemon,
    PUSH_PG_PORT: pg,
  };
  const server = await startServer(env);
  const stop = async () => {
    server.child.kill('SIGTERM');
    await server.exited.catch(() => {});
  };
  try {
    const named = process.argv.slice(2).map((f) => path.resolve(f));
    const all = readdirSync(here)
      .filter((f) => f.endsWith('.test.js'))
      .map((f) => path.join(here, f));
    const tests = start(
      process.execPath,
      [
        '--test',
        '--test-reporter=tap',
        ...(named.length > 0 ? named : all.sort()),
      ],
      {
        env: {
          ...env,
          PUSH_DEMO_URL: server.url,
          PUSH_SHOTS: path.join(shared, 'screenshots'),
        },
        stdio: ['ignore', 'inherit', 'inherit'],
      },
    );
    const [code] = await once(tests, 'exit');
    process.exitCode = code ?? 1;
  } finally {
    await stop();
  }
}

main().catch((err) => {
  console.error(err.message);
  process.exitCode = 1;
});
