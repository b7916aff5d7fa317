// SPDX-License-Identifier: ISC

import pg from 'pg';

/** A pool that survives the database: a lost connection is made again. */
export function openDatabase(options) {
  const pool = new pg.Pool({ max: 10, ...options });
  pool.on('error', (err) => console.error('database:', err.message));
  return pool;
}

/** Runs fn(client) between BEGIN and COMMIT, and returns what it returned. */
export async function transaction(pool, fn) {
  const client = await pool.connect();
  let broken;
  try {
    await client.query('BEGIN');
    const result = await fn(client);
    await client.query('COMMIT');
    return result;
  } catch (err) {
    await client.query('ROLLBACK').catch((e) => {
      broken = e;
    });
    throw err;
  } finally {
    client.release(broken);
  }
}
