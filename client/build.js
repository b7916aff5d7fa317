// SPDX-License-Identifier: ISC
// npm run build: src/ -> dist/, one module each with its types; style sheets
// are copied as they are. What was there stays usable while it is made anew,
// and if it cannot be.

import { spawnSync } from 'node:child_process';
import {
  copyFileSync, mkdirSync, readdirSync, rmSync, writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

process.chdir(fileURLToPath(new URL('.', import.meta.url)));
const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');

const files = (folder) =>
  readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const name = path.join(folder, entry.name);
    return entry.isDirectory() ? files(name) : [name];
  });

const { status, stdout } = spawnSync(
  process.execPath,
  [tsc, '-p', '.', '--noEmitOnError', '--listEmittedFiles'],
  { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] },
);
if (status !== 0) {
  process.stdout.write(stdout);
  process.exit(status ?? 1);
}
const made = new Set(
  [...stdout.matchAll(/^TSFILE: (.*)$/gm)].map(([, name]) => path.resolve(name)),
);
for (const from of files('src').filter((name) => name.endsWith('.css'))) {
  const to = path.resolve('dist', path.relative('src', from));
  mkdirSync(path.dirname(to), { recursive: true });
  copyFileSync(from, to);
  made.add(to);
  // So that `import 'pgpush/react/style.css'` has a type.
  writeFileSync(`${to}.d.ts`, 'export {};\n');
  made.add(`${to}.d.ts`);
}
for (const name of files('dist'))
  if (!made.has(path.resolve(name))) rmSync(name);
