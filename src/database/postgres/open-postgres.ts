/**
 * The Sql port on Postgres, by postgres.js.
 *
 * Deadlines: `statement_timeout` ends a slow statement on the server; a race ends the wait for a server that is frozen or
 * cut off, and throws that connection away. A caller waits for a connection at most as long as for a statement, and at
 * most `WAITERS_PER_CONNECTION` callers wait for each connection: beyond that the service says so instead of queueing.
 *
 * Poolers in transaction mode (PgBouncer) work: they are recognised at the first connection, because the process id they
 * announce is not the backend's or because they refuse our start-up parameters.
 */
import { databaseTimeout, databaseUnavailable, errorCode } from "../errors.ts";
import type { DatabaseLogger } from "../logger.ts";
import { makePlaces } from "../queue.ts";
import type { Sql, SqlParam } from "../sql.ts";
import { type Connection, type ConnectionOptions, makeConnection } from "./connection.ts";

export interface PostgresOptions {
  readonly url: string;
  readonly poolSize: number;
  readonly statementTimeoutMs: number;
  readonly applicationName: string;
  readonly logger?: DatabaseLogger;
}

const GRACE_MS = 1_000;
const SCRIPT_TIMEOUT_MS = 600_000;
const CONNECTION_LIFETIME_MS = 1_800_000;
const WAITERS_PER_CONNECTION = 100;
/** protocol_violation: how PgBouncer answers a start-up parameter it does not know. */
const PARAMETER_REFUSED = "08P01";

/** Connects once, so that a wrong URL is an error here and not in the first request. */
export async function openPostgres(options: PostgresOptions): Promise<Sql> {
  const session: ConnectionOptions = {
    url: options.url,
    applicationName: options.applicationName,
    statementTimeoutMs: options.statementTimeoutMs,
    idleInTransactionMs: Math.max(options.statementTimeoutMs, GRACE_MS),
    outerTimeoutMs: options.statementTimeoutMs + GRACE_MS,
    pooling: "session",
    setLimits: false,
  };
  const { connectionOptions, first } = await firstContact(session);
  if (connectionOptions.pooling === "transaction") {
    options.logger?.info(
      { setLimits: connectionOptions.setLimits },
      "A pooler in transaction mode is in front of Postgres",
    );
  }
  return makePool(options, connectionOptions, first);
}

async function firstContact(session: ConnectionOptions) {
  const direct = makeConnection(session);
  try {
    const { announced, backend } = await direct.pids();
    if (backend === announced) return { connectionOptions: session, first: direct };
    direct.discard();
  } catch (error) {
    direct.discard();
    if (errorCode((error as Error).cause) !== PARAMETER_REFUSED) throw error;
  }
  const pooled: ConnectionOptions = { ...session, pooling: "transaction", setLimits: true };
  const first = makeConnection(pooled);
  try {
    const [row] = await makeFirstLook(first);
    const limited = row !== undefined && row.ms > 0 && row.ms <= session.statementTimeoutMs;
    first.discard();
    return { connectionOptions: { ...pooled, setLimits: !limited }, first: null };
  } catch (error) {
    first.discard();
    throw error;
  }
}

/** What limits statements when we do not: a role's or a database's own setting, in milliseconds. */
const makeFirstLook = (connection: Connection) =>
  connection.query<{ ms: number }>("SELECT reset_val::int8 AS ms FROM pg_settings WHERE name = 'statement_timeout'");

interface Connections {
  /** One of the pool, waited for in turn. */
  withPooled<T>(work: (connection: Connection) => Promise<T>): Promise<T>;
  /** One of its own, outside the pool, with limits of its own. */
  withOwn<T>(limits: Partial<ConnectionOptions>, work: (connection: Connection) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

function makeConnections(
  { poolSize, statementTimeoutMs }: PostgresOptions,
  connectionOptions: ConnectionOptions,
  first: Connection | null,
): Connections {
  const places = makePlaces(poolSize, poolSize * WAITERS_PER_CONNECTION);
  const open = new Set<Connection>();
  const idle: Connection[] = [];
  let closing: Promise<void> | null = null;
  const adopt = (connection: Connection): Connection => {
    open.add(connection);
    return connection;
  };
  if (first !== null) idle.push(adopt(first));

  const drop = (connection: Connection): void => {
    open.delete(connection);
    connection.discard();
  };
  const take = (): Connection => {
    for (let found = idle.pop(); found !== undefined; found = idle.pop()) {
      if (found.usable && performance.now() - found.openedAtMs < CONNECTION_LIFETIME_MS) return found;
      drop(found);
    }
    return adopt(makeConnection(connectionOptions));
  };
  const closeAll = async (): Promise<void> => {
    await places.close();
    for (const connection of open) drop(connection);
  };
  return {
    async withPooled(work) {
      const release = await places.acquire(statementTimeoutMs);
      try {
        const connection = take();
        try {
          return await work(connection);
        } finally {
          if (connection.usable) idle.push(connection);
          else drop(connection);
        }
      } finally {
        release();
      }
    },
    async withOwn(limits, work) {
      if (closing !== null) throw databaseUnavailable(new Error("The database was closed."));
      const connection = adopt(makeConnection({ ...connectionOptions, setLimits: true, ...limits }));
      try {
        return await work(connection);
      } finally {
        drop(connection);
      }
    },
    close() {
      closing ??= closeAll();
      return closing;
    },
  };
}

function makePool(options: PostgresOptions, connectionOptions: ConnectionOptions, first: Connection | null): Sql {
  const { withPooled, withOwn, close } = makeConnections(options, connectionOptions, first);
  const sql: Sql = {
    engine: "postgres",
    durability: "fsync",
    query<Row extends object>(text: string, params: readonly SqlParam[] = []) {
      return withPooled((connection) => connection.query<Row>(text, params));
    },
    transaction: (work) => withPooled((connection) => connection.transaction(work)),
    script: (text) =>
      withOwn({ statementTimeoutMs: SCRIPT_TIMEOUT_MS, outerTimeoutMs: SCRIPT_TIMEOUT_MS + GRACE_MS }, (connection) =>
        connection.script(text),
      ),
    withAdvisoryLock: (lockId, waitMs, work) =>
      withOwn(
        {
          statementTimeoutMs: Math.max(waitMs, GRACE_MS),
          idleInTransactionMs: 0,
          outerTimeoutMs: waitMs + 2 * GRACE_MS,
        },
        (connection) => holdLock(connection, connectionOptions.pooling, lockId, waitMs, () => work(sql)),
      ),
    close,
  };
  return sql;
}

/**
 * A session's lock where the session is ours; behind a pooler the lock of a transaction, which stays open meanwhile
 * (idle and read committed: it keeps no rows alive). If the connection is lost, so is the lock, and the caller hears it.
 */
async function holdLock<T>(
  connection: Connection,
  pooling: ConnectionOptions["pooling"],
  lockId: number,
  waitMs: number,
  work: () => Promise<T>,
): Promise<T> {
  const kind = pooling === "session" ? "advisory" : "advisory_xact";
  const lock = async (runner: Pick<Connection, "query">): Promise<void> => {
    if (waitMs > 0) {
      await runner.query(`SELECT pg_${kind}_lock($1::int8)`, [lockId]);
      return;
    }
    const [row] = await runner.query<{ held: boolean }>(`SELECT pg_try_${kind}_lock($1::int8) AS held`, [lockId]);
    if (row?.held !== true) throw databaseTimeout(new Error(`Advisory lock ${lockId} is held by someone else.`));
  };
  if (pooling === "transaction") {
    return connection.transaction(async (tx) => {
      await lock(tx);
      return Promise.race([work(), connection.lost]);
    });
  }
  await lock(connection);
  try {
    return await Promise.race([work(), connection.lost]);
  } finally {
    if (connection.usable) await connection.query("SELECT pg_advisory_unlock($1::int8)", [lockId]);
  }
}
