// SPDX-License-Identifier: ISC
// Settings from the environment. The database comes from the PG* variables.

import { readFileSync } from 'node:fs';
import path from 'node:path';

const env = process.env;

function port(name, fallback) {
  const n = Number(env[name] ?? fallback);
  if (!Number.isInteger(n) || n < 0 || n > 65535)
    throw new Error(`${name} must be a port number, not "${env[name]}"`);
  return n;
}

function secret() {
  if (env.JWT_SECRET) return env.JWT_SECRET;
  if (env.JWT_SECRET_FILE)
    return readFileSync(env.JWT_SECRET_FILE, 'utf8').trimEnd();
  throw new Error('JWT_SECRET_FILE or JWT_SECRET must be set');
}

export function readConfig() {
  const daemonPort = port('PUSH_PORT', 8081);
  return {
    host: env.PUSH_DEMO_HOST ?? '127.0.0.1',
    port: port('PUSH_DEMO_PORT', 8080),
    secret: secret(),
    uploads: path.resolve(env.PUSH_VAR ?? 'var', 'uploads'),
    daemon: `http://127.0.0.1:${daemonPort}`,
  };
}
