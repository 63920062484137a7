/** What the pool does when connections end, the server freezes, or too many want one. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { openPostgres } from "../../src/database/postgres/open-postgres.ts";
import { RendiffError } from "../../src/errors.ts";
import { afterFile } from "../support/cleanup.ts";
import { testEnv } from "../support/env.ts";
import { asSuperuser, createDatabase } from "../support/postgres.ts";
import { descendantsOf, isAlive } from "../support/processes.ts";
import { startPostgres } from "../support/servers.ts";
import { makeTempDir } from "../support/temp-dir.ts";
import { until, within } from "../support/until.ts";

const kindOf = async (work: Promise<unknown>): Promise<string> => {
  const error = await work.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  return error instanceof RendiffError ? error.kind : String(error);
};

interface Tally {
  readonly uncaught: string[];
  readonly committed: number;
  readonly unavailable: number;
  readonly timeout: number;
  readonly other: string[];
  readonly hung: number;
}

describe("terminated connections", () => {
  const rounds = testEnv().long ? 1_000 : 100;
  test(`${rounds} rounds under load: nothing uncaught, nothing hung, the pool whole afterwards`, async () => {
    const { url, name } = await createDatabase();
    await asSuperuser((sql) => sql.unsafe("CREATE TABLE load (lane int, turn int)"), url);
    const load = Bun.spawn(
      [process.execPath, join(import.meta.dir, "fixtures/postgres-load.ts"), url, "victim", "4", "2000"],
      { stdin: "pipe", stdout: "pipe", stderr: "inherit" },
    );
    afterFile(() => load.kill("SIGKILL"));
    const lines = load.stdout.pipeThrough(new TextDecoderStream());
    let output = "";
    const reading = (async () => {
      for await (const chunk of lines) output += chunk;
    })();
    await until(() => output.includes("ready"), { timeoutMs: 20_000, what: "the load to begin" });
    let killed = 0;
    await asSuperuser(async (sql) => {
      for (let round = 0; round < rounds; round += 1) {
        // Every second connection of the pool at least is in a transaction, and so is hit inside of one.
        await until(
          async () =>
            (
              await sql`SELECT 1 FROM pg_stat_activity WHERE datname = ${name} AND application_name = 'victim'
                       AND xact_start IS NOT NULL HAVING count(*) >= 2`
            ).length > 0,
          { timeoutMs: 10_000, intervalMs: 2, what: "two open transactions" },
        );
        const victims = await sql<{ pid: number }[]>`
          SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity
          WHERE datname = ${name} AND application_name = 'victim'`;
        killed += victims.length;
        // A dying backend is still listed: without this a round would end what the one before had ended already.
        const pids = victims.map(({ pid }) => pid);
        await until(async () => (await sql`SELECT 1 FROM pg_stat_activity WHERE pid = ANY(${pids})`).length === 0, {
          timeoutMs: 10_000,
          intervalMs: 2,
          what: "the terminated backends to be gone",
        });
      }
    });
    load.stdin.end();
    await within(Promise.all([load.exited, reading]), 30_000, "the load to end");
    const tally = JSON.parse(output.trim().split("\n").at(-1) ?? "") as Tally;
    expect(tally.uncaught).toEqual([]);
    expect(tally.other).toEqual([]);
    expect(tally.hung).toBe(0);
    expect(tally.timeout).toBe(0);
    expect(killed).toBeGreaterThanOrEqual(2 * rounds);
    expect(tally.unavailable).toBeGreaterThan(rounds);
    expect(tally.committed).toBeGreaterThan(0);
  }, 120_000);

  test("a connection that ended while idle is not given to the next caller", async () => {
    const { url, name } = await createDatabase();
    const sql = await openPostgres({ url, poolSize: 2, statementTimeoutMs: 2_000, applicationName: "idle-victim" });
    await asSuperuser(async (admin) => {
      await admin`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = ${name} AND application_name = 'idle-victim'`;
    });
    // The end may not have reached us when the first caller comes: it may fail, but only so, and only once.
    const first = await kindOf(sql.query("SELECT 1"));
    expect(["null", "database.unavailable"]).toContain(first);
    expect(await sql.query("SELECT 1 AS one")).toEqual([{ one: 1 }]);
    await sql.close();
  }, 20_000);
});

describe("a pool with too few connections", () => {
  test("waits its turn, gives up at the deadline, and refuses the flood at once", async () => {
    const { url } = await createDatabase();
    const sql = await openPostgres({ url, poolSize: 1, statementTimeoutMs: 400, applicationName: "narrow" });
    const holder = sql.query("SELECT pg_sleep(0.3)");
    expect(await kindOf(sql.query("SELECT 1"))).toBe("null");
    await holder;

    const held = Promise.withResolvers<void>();
    const release = Promise.withResolvers<void>();
    const busy = sql.transaction(async (tx) => {
      held.resolve();
      for (let at = 0; at < 6; at += 1) await tx.query("SELECT pg_sleep(0.15)");
      await release.promise;
    });
    await held.promise;
    const waiting = Array.from({ length: 100 }, () => kindOf(sql.query("SELECT 1")));
    const startedAtMs = performance.now();
    expect(await kindOf(sql.query("SELECT 1"))).toBe("database.unavailable");
    expect(performance.now() - startedAtMs).toBeLessThan(100);
    expect(new Set(await Promise.all(waiting))).toEqual(new Set(["database.timeout"]));
    release.resolve();
    await busy;
    expect(await sql.query("SELECT 1 AS one")).toEqual([{ one: 1 }]);
    await sql.close();
  }, 20_000);

  test("a server without room for more says unavailable", async () => {
    const { url, name } = await createDatabase();
    const role = `${name}_user`;
    await asSuperuser(async (sql) => {
      await sql.unsafe(`ALTER DATABASE ${name} CONNECTION LIMIT 0`);
      await sql.unsafe(`CREATE ROLE ${role} LOGIN`);
    });
    afterFile(() => asSuperuser(async (sql) => void (await sql.unsafe(`DROP ROLE ${role}`))));
    const target = new URL(url);
    target.username = role;
    const open = openPostgres({ url: target.href, poolSize: 1, statementTimeoutMs: 500, applicationName: "narrow" });
    expect(await kindOf(open)).toBe("database.unavailable");
  });

  test("a server that is not there says unavailable, soon", async () => {
    const url = "postgres://nobody@127.0.0.1:1/nothing";
    const open = openPostgres({ url, poolSize: 1, statementTimeoutMs: 500, applicationName: "nowhere" });
    expect(await kindOf(within(open, 3_000))).toBe("database.unavailable");
  });
});

describe("a frozen server", () => {
  test("ends every wait at its deadline, and all is well after the thaw", async () => {
    const server = await startPostgres(await makeTempDir("frost"));
    const send = (pid: number, signal: "SIGSTOP" | "SIGCONT"): void => {
      try {
        process.kill(pid, signal);
      } catch (error) {
        // A background worker of Postgres that ended since it was listed.
        if (isAlive(pid)) throw error;
      }
    };
    const signalAll = (signal: "SIGSTOP" | "SIGCONT"): void => {
      // The postmaster first: once it stands still there are no new ones.
      send(server.pid, signal);
      for (const { pid } of descendantsOf(server.pid)) send(pid, signal);
    };
    afterFile(async () => {
      signalAll("SIGCONT");
      await server.stop();
    });
    const statementTimeoutMs = 300;
    const sql = await openPostgres({ url: server.url, poolSize: 3, statementTimeoutMs, applicationName: "frost" });
    await sql.script("CREATE TABLE rows (id int PRIMARY KEY)");
    const begun = Promise.withResolvers<void>();
    const frozen = Promise.withResolvers<void>();
    const inside = kindOf(
      sql.transaction(async (tx) => {
        await tx.query("INSERT INTO rows VALUES (1)");
        begun.resolve();
        await frozen.promise;
        await tx.query("INSERT INTO rows VALUES (2)");
      }),
    );
    await begun.promise;
    signalAll("SIGSTOP");
    frozen.resolve();
    const startedAtMs = performance.now();
    const kinds = await within(
      Promise.all([
        inside,
        kindOf(sql.query("SELECT 1")),
        kindOf(sql.transaction((tx) => tx.query("SELECT 1"))),
        // More than there are connections: these wait, or connect to a server that does not greet.
        ...Array.from({ length: 6 }, () => kindOf(sql.query("SELECT 1"))),
      ]),
      10_000,
      "every call to end",
    );
    const elapsedMs = performance.now() - startedAtMs;
    for (const kind of kinds) expect(["database.timeout", "database.unavailable"]).toContain(kind);
    expect(kinds[0]).toBe("database.timeout");
    // Waiting for a connection and for the answer each have the statement's deadline and its grace.
    expect(elapsedMs).toBeLessThan(2 * statementTimeoutMs + 3_000);

    signalAll("SIGCONT");
    await until(async () => (await sql.query("SELECT 1 AS one")).length === 1, { what: "the thawed server" });
    // What timed out was never committed, and no connection answers with another's result.
    const answers = await Promise.all(
      Array.from({ length: 60 }, async (_, n) => (await sql.query<{ n: number }>("SELECT $1::int AS n", [n]))[0]?.n),
    );
    expect(answers).toEqual(Array.from({ length: 60 }, (_, n) => n));
    await until(async () => (await sql.query("SELECT id FROM rows")).length === 0, { what: "the rollback" });
    await within(sql.close(), 5_000, "close");
  }, 60_000);
});
