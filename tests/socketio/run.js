// SPDX-License-Identifier: ISC
// npm test: makes one PostgreSQL for all test files and runs them one after the
// other. Arguments are test files, else all are run. The last line is
// "N passed, N failed".
//
// PGPUSH_BUILDDIR: where the daemon was built; the top of the tree by default.
// PUSH_REFERENCE=1: the two conformance files against the reference server.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(new URL('.', import.meta.url));
const top = path.resolve(here, '../..');
const PYTHON = process.env.PYTHON ?? '/usr/bin/python3';
const FILE_MS = 600_000;

let passed = 0;
let failed = 0;
let stopped = null;
const children = new Set();
for (const signal of ['SIGINT', 'SIGTERM'])
  process.once(signal, () => {
    stopped = signal;
    for (const child of children) child.kill('SIGTERM');
  });

function start(...args) {
  const child = spawn(...args);
  children.add(child);
  child.once('exit', () => children.delete(child));
  return child;
}

function fail(why) {
  console.log(`not ok - ${why}`);
  failed++;
}

/** The keeper of a cluster; it ends with its standard input. */
async function makeCluster() {
  const keeper = start(PYTHON, [path.join(top, 'tests/lib/cluster.py')], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  keeper.stdin.write('{"settings": ""}\n');
  const lines = createInterface(keeper.stdout);
  const [where] = await Promise.race([
    once(lines, 'line'),
    once(keeper, 'exit').then(() => [null]),
  ]);
  return { keeper, where };
}

/** One file; adds what its last lines say. */
async function run(file, env) {
  const name = path.basename(file);
  console.log(`# ${name}`);
  const test = start(process.execPath, ['--test', '--test-reporter=tap', file], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const timer = setTimeout(() => test.kill('SIGKILL'), FILE_MS);
  const counts = { pass: 0, fail: 0, cancelled: 0 };
  createInterface(test.stdout).on('line', (line) => {
    console.log(line);
    const [, what, n] = /^# (pass|fail|cancelled) (\d+)$/.exec(line) ?? [];
    if (what) counts[what] = Number(n);
  });
  const [status] = await once(test, 'close');
  clearTimeout(timer);
  passed += counts.pass;
  failed += counts.fail + counts.cancelled;
  if (status !== 0 && counts.fail + counts.cancelled === 0)
    fail(`${name} ended with status ${status}`);
}

async function main() {
  const build = process.env.PGPUSH_BUILDDIR ?? top;
  if (!existsSync(path.join(build, 'tests/sioecho'))) {
    fail(`no tests/sioecho in ${build}: make check builds it, or set PGPUSH_BUILDDIR`);
    return;
  }
  const { keeper, where } = await makeCluster();
  if (where === null) {
    fail('no PostgreSQL');
    return;
  }
  const env = { ...process.env, PGPUSH_BUILDDIR: build, PGPUSH_TEST_CLUSTER: where };
  const named = process.argv.slice(2).map((f) => path.resolve(f));
  const all = readdirSync(here)
    .filter((f) => f.endsWith('.test.js'))
    .sort()
    .map((f) => path.join(here, f));
  try {
    for (const file of named.length > 0 ? named : all) {
      await run(file, env);
      if (stopped) break;
    }
  } finally {
    keeper.stdin.end();
  }
}

await main().catch((err) => fail(err.stack));
if (stopped) fail(`stopped by ${stopped}`);
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
