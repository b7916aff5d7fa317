// SPDX-License-Identifier: ISC
// npm run build: src/ -> dist/, one module each with its types; the style
// sheets are copied as they are.

import { spawnSync } from 'node:child_process';
import { cpSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

process.chdir(fileURLToPath(new URL('.', import.meta.url)));
const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');

rmSync('dist', { recursive: true, force: true });
const { status } = spawnSync(process.execPath, [tsc, '-p', '.'], {
  stdio: 'inherit',
});
if (status !== 0) process.exit(status ?? 1);
cpSync('src', 'dist', {
  recursive: true,
  filter: (from) => !/\.[^./]+$/.test(from) || from.endsWith('.css'),
});
