/** Lists from a real hot standby, and from the primary when there is none. */
import { expect, test } from "bun:test";
import { migrate } from "../../src/database/migrate.ts";
import { openPostgres } from "../../src/database/postgres/open-postgres.ts";
import { withReplica } from "../../src/database/replica.ts";
import { listJobs } from "../../src/jobs/list.ts";
import { insertKey, submit } from "../faults/protocol-harness.ts";
import { afterFile } from "../support/cleanup.ts";
import { asSuperuser, createDatabase } from "../support/postgres.ts";
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
  const reader = withReplica(sql, { open: () => open(standby.url), logger: silentLogger() });
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

test("a replica that is away at the start is taken when it comes", async () => {
  const { url } = await createDatabase();
  const options = { url, poolSize: 2, statementTimeoutMs: 2_000 };
  const sql = await openPostgres({ ...options, applicationName: "the primary" });
  let away = true;
  const open = () =>
    openPostgres({
      ...options,
      applicationName: "the replica",
      ...(away ? { url: "postgres://127.0.0.1:1/none" } : {}),
    });
  const reader = withReplica(sql, { open, logger: silentLogger(), restMs: 0 });
  const answering = async () =>
    (await reader.query<{ name: string }>("SELECT current_setting('application_name') AS name"))[0]?.name;
  expect(await answering()).toBe("the primary");
  away = false;
  expect(await answering()).toBe("the replica");
  await reader.close();
  expect(await sql.query("SELECT 1 AS one")).toEqual([{ one: 1 }]);
  await sql.close();
}, 20_000);
