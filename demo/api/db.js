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
  // The pool listens only while it is idle; unheard it would end the process.
  const note = (err) => {
    broken = err;
  };
  client.on('error', note);
  try {
    await client.query('BEGIN');
    const result = await fn(client);
    await client.query('COMMIT');
    return result;
  } catch (err) {
    await client.query('ROLLBACK').catch(note);
    throw err;
  } finally {
    client.off('error', note);
    client.release(broken);
  }
}

/** What the lists of messages m show of reactions, which are in this table. */
export const reactionsOf = (table) => `
         (SELECT coalesce(jsonb_agg(jsonb_build_object(
                   'emoji', g.emoji, 'count', cardinality(g.ids),
                   'userIds', g.ids) ORDER BY g.first, g.emoji), '[]')
            FROM (SELECT r.emoji, min(r.created_at) AS first,
                         array_agg(r.user_id
                                   ORDER BY r.created_at, r.user_id) AS ids
                    FROM ${table} r
                   WHERE r.message_id = m.id GROUP BY r.emoji) g) AS reactions`;
