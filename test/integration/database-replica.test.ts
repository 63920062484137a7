/** Lists from a real hot standby, and from the primary when there is none. */
import { expect, test } from "bun:test";
import { migrate } from "../../src/database/migrate.ts";
import { openPostgres } from "../../src/database/postgres/open-postgres.ts";
import { withReplica } from "../../src/database/replica.ts";
import { listJobs } from "../../src/jobs/list.ts";
import { insertKey, submit } from "../faults/protocol-harness.ts";
import { afterFile } from "../support/cleanup.ts";
import { asSuperuser } from "../support/postgres.ts";
import { startPostgres, startStandby } from "../support/servers.ts";
import { silentLogger } from "../support/silent-logger.ts";
import { makeTempDir } from "../support/temp-dir.ts";
import { until } from "../support/until.ts";

test("lists are the replica's while it answers, and the primary's when it does not", async () => {
  const primary = await startPostgres(await makeTempDir("primary"), { full_page_writes: "on" });
  afterFile(() => primary.stop());
  const standby = await startStandby(await makeTempDir("standby"), primary);
  afterFile(() => standby.stop());
  const open = (url: string) => openPostgres({ url, poolSize: 2, statementTimeoutMs: 2_000, applicationName: "lists" });
  const sql = await open(primary.url);
  await migrate(sql);
  const reader = withReplica(sql, await open(standby.url), silentLogger());
  const keyId = await insertKey(sql);
  const total = async (): Promise<number> =>
    (await listJobs(reader, { keyId, metadata: {}, sort: "-created_at", limit: 10 })).total;
  await submit({ sql, keyId } as never);
  // Asked itself: a list that the replica cannot answer yet would come from the primary, and so would the next ones.
  const follows = () =>
    asSuperuser((replica) => replica`SELECT 1 FROM jobs`, standby.url).then(
      (rows) => rows.length === 1,
      () => false,
    );
  await until(follows, { timeoutMs: 10_000, what: "the replica to follow" });
  expect(await total()).toBe(1);
  await asSuperuser((replica) => replica`SELECT pg_wal_replay_pause()`, standby.url);
  // It only asks for a pause: what arrives before the replica has seen the request is still replayed.
  const isPaused = async () =>
    (await asSuperuser((replica) => replica`SELECT 1 WHERE pg_get_wal_replay_pause_state() = 'paused'`, standby.url))
      .length > 0;
  await until(isPaused, { timeoutMs: 10_000, what: "the replica to stand still" });
  await submit({ sql, keyId } as never);
  // The replica stands still, so whoever does not see the job has asked it.
  expect(await total()).toBe(1);
  await standby.crash();
  expect(await total()).toBe(2);
  await reader.close();
  await sql.close();
}, 60_000);
