/** Turns between replicas (one reconciler at a time): they save work and protect nothing. */
import type { SqlRunner } from "../database/sql.ts";

/** True when the turn was free, over, or the holder's own; it is then the holder's for `ttlMs`. */
export async function takeTurn(
  sql: SqlRunner,
  { name, holder, ttlMs }: { name: string; holder: string; ttlMs: number },
): Promise<boolean> {
  const rows = await sql.query(
    `INSERT INTO leases (name, holder, until) VALUES ($1, $2, now() + $3::double precision * interval '1 millisecond')
     ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until
     WHERE leases.holder = excluded.holder OR leases.until <= now()
     RETURNING name`,
    [name, holder, ttlMs],
  );
  return rows.length > 0;
}

/** Gives the turn up early; nothing happens when it is another's by now. */
export async function endTurn(sql: SqlRunner, { name, holder }: { name: string; holder: string }): Promise<void> {
  await sql.query("DELETE FROM leases WHERE name = $1 AND holder = $2", [name, holder]);
}
