// SPDX-License-Identifier: ISC
// node token.js EMAIL: prints a token for a user of the demo.

import { signToken } from './api/auth.js';
import { openDatabase } from './api/db.js';
import { readConfig } from './config.js';

const email = process.argv[2];
const { secret } = readConfig();
const db = openDatabase({ max: 1 });
try {
  const { rows } = await db.query(
    'SELECT id, role FROM users WHERE lower(email) = lower($1)',
    [email],
  );
  if (rows.length === 0) throw new Error(`no user with email ${email}`);
  console.log(signToken(rows[0], secret));
} catch (err) {
  console.error(`token: ${err.message}`);
  process.exitCode = 1;
} finally {
  await db.end();
}
