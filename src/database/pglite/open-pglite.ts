/**
 * The Sql port on PGlite: Postgres in this process, in a folder that only this process may use.
 *
 * It is one connection. Statements and transactions wait their turn in order of arrival, at most for a statement's time;
 * a transaction that stops talking for that long is rolled back, so that a mistake in one caller cannot stop them all.
 * PGlite writes through the operating system but does not fsync: `kill -9` loses nothing, a power cut may.
 */
import { mkdir, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { PGlite } from "@electric-sql/pglite";
import { DeadlinePassed } from "../deadline.ts";
import { databaseTimeout, databaseUnavailable, transactionEnded } from "../errors.ts";
import type { DatabaseLogger } from "../logger.ts";
import { makePlaces, type Places } from "../queue.ts";
import type { Sql, SqlParam, SqlRunner } from "../sql.ts";
import { makeWatch } from "../watch.ts";
import { loadAssets } from "./assets.ts";
import { type Engine, makeEngine } from "./engine.ts";
import { lockFolder } from "./folder-lock.ts";
import { maintain, startMaintenance } from "./maintenance.ts";
import { embeddedTemplate, ensureTemplate, makeDatabase, TEMPLATE_NAME, unpackTemplate } from "./template.ts";

export interface PgliteOptions {
  /** DATA_DIR: it gets a folder `database` and a file `database.lock`. Made if it is not there. */
  readonly dataDir: string;
  readonly statementTimeoutMs: number;
  /** A template's path; by default the binary's own, or one made once into `.cache` of the sources. */
  readonly template?: string;
  readonly logger?: DatabaseLogger;
}

const FOLDER = "database";
const UNFINISHED = "database.unfinished-";
const WAITERS_MAX = 1_000;
/**
 * Less memory than the defaults, which are for a server: with 128 MB of shared buffers an idle process held 130 MB more
 * and ran no faster, since what is not in them is in the operating system's cache. The log of writes is kept short.
 */
const SETTINGS = ["shared_buffers=16MB", "maintenance_work_mem=16MB", "max_wal_size=64MB", "min_wal_size=32MB"];
const START_PARAMS = [...PGlite.defaultStartParams, ...SETTINGS.flatMap((setting) => ["-c", setting])];

export async function openPglite(options: PgliteOptions): Promise<Sql> {
  await mkdir(options.dataDir, { recursive: true, mode: 0o700 });
  const lock = lockFolder(options.dataDir);
  try {
    const folder = join(options.dataDir, FOLDER);
    const [assets] = await Promise.all([loadAssets(), makeFolder(options, folder)]);
    const pg = await PGlite.create(folder, { ...assets, startParams: START_PARAMS });
    return makeSql(pg, options, lock.release);
  } catch (error) {
    lock.release();
    throw error;
  }
}

/** The folder appears complete or not at all: a first start that was killed leaves only what the next one sweeps. */
async function makeFolder(options: PgliteOptions, folder: string): Promise<void> {
  for (const name of await readdir(options.dataDir)) {
    if (name.startsWith(UNFINISHED)) await rm(join(options.dataDir, name), { recursive: true, force: true });
  }
  if (await Bun.file(join(folder, "PG_VERSION")).exists()) return;
  const startedAtMs = performance.now();
  const unfinished = join(options.dataDir, `${UNFINISHED}${process.pid}`);
  const template = await findTemplate(options.template);
  if (template === null) await makeDatabase(unfinished);
  else await unpackTemplate(template, unfinished);
  await rename(unfinished, folder);
  options.logger?.info(
    { fromTemplate: template !== null, elapsedMs: Math.round(performance.now() - startedAtMs) },
    "Made the embedded database",
  );
}

async function findTemplate(path: string | undefined): Promise<Blob | null> {
  if (path !== undefined) return Bun.file(path);
  const embedded = embeddedTemplate();
  if (embedded !== null || Bun.isMainThread === false) return embedded;
  if (import.meta.dir.startsWith("/$bunfs") || import.meta.dir.startsWith("B:\\")) return null;
  const cached = join(import.meta.dir, "../../../.cache", TEMPLATE_NAME);
  try {
    await ensureTemplate(cached);
    return Bun.file(cached);
  } catch {
    // The sources may be read-only; initdb in the data folder still works.
    return null;
  }
}

function makeSql(pg: PGlite, options: PgliteOptions, releaseFolder: () => void): Sql {
  const { statementTimeoutMs } = options;
  const engine = makeEngine(pg, statementTimeoutMs);
  const places = makePlaces(1, WAITERS_MAX);
  const advisory = new Map<number, Places>();
  let closing: Promise<void> | null = null;

  const alone = async <T>(work: () => Promise<T>): Promise<T> => {
    const release = await places.acquire(statementTimeoutMs);
    try {
      return await work();
    } finally {
      release();
    }
  };
  const maintenance = startMaintenance(() => alone(() => maintain(engine)));
  const closeEngine = async (): Promise<void> => {
    maintenance.stop();
    await places.close();
    try {
      await pg.close();
    } finally {
      releaseFolder();
    }
  };

  const sql: Sql = {
    engine: "pglite",
    durability: "process",
    query: <Row extends object>(text: string, params: readonly SqlParam[] = []) =>
      alone(() => engine.statement(text, params)) as Promise<Row[]>,
    transaction: (work) => alone(() => runTransaction(engine, statementTimeoutMs, work)),
    script: (text) =>
      alone(async () => {
        await engine.command(text);
      }),
    async withAdvisoryLock(lockId, waitMs, work) {
      if (closing !== null) throw databaseUnavailable(new Error("The database was closed."));
      const queue = advisory.get(lockId) ?? makePlaces(1, WAITERS_MAX);
      advisory.set(lockId, queue);
      const release = await queue.acquire(waitMs);
      try {
        return await work(sql);
      } finally {
        release();
      }
    },
    close() {
      closing ??= closeEngine();
      return closing;
    },
  };
  return sql;
}

async function runTransaction<T>(
  engine: Engine,
  idleTimeoutMs: number,
  work: (tx: SqlRunner) => Promise<T>,
): Promise<T> {
  await engine.command("BEGIN");
  const watch = makeWatch();
  let ended = false;
  let running = 0;
  let failure: { readonly error: unknown } | null = null;
  const tx: SqlRunner = {
    async query<Row extends object>(text: string, params: readonly SqlParam[] = []) {
      if (ended) throw transactionEnded();
      running += 1;
      watch.stop();
      try {
        return (await engine.statement(text, params)) as Row[];
      } catch (error) {
        failure ??= { error };
        throw error;
      } finally {
        running -= 1;
        if (running === 0 && !ended) watch.start(idleTimeoutMs);
      }
    },
  };
  try {
    watch.start(idleTimeoutMs);
    const result = await Promise.race([work(tx), watch.passed]);
    // Postgres would answer COMMIT with ROLLBACK after a failed statement, even if the callback swallowed the error.
    if (failure !== null) throw (failure as { readonly error: unknown }).error;
    ended = true;
    await engine.command("COMMIT");
    return result;
  } catch (error) {
    ended = true;
    await engine.command("ROLLBACK");
    throw error instanceof DeadlinePassed ? databaseTimeout(error) : error;
  } finally {
    watch.stop();
  }
}
