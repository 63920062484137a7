/**
 * What gauges show, looked at when somebody scrapes and at most once in a few seconds.
 *
 * A scrape waits for that only briefly: a database with a long queue takes its time to count it, and one that hangs never
 * answers. The scrape then shows what was seen last, which is at most one scrape old; the look goes on and is there for
 * the next.
 */
import { statfs } from "node:fs/promises";
import type { Config } from "../config/config.ts";
import type { Coordination } from "../coordination/ports.ts";
import type { Sql } from "../database/sql.ts";
import { readFleetGauges } from "../jobs/gauges.ts";
import { storedBytes } from "../jobs/storage-usage.ts";
import type { Dependency, DiskState, FleetState, SampledState } from "../telemetry/metrics.ts";

export interface SampleParts {
  readonly sql: Sql;
  readonly coordination: Pick<Coordination, "kind" | "ping">;
  /** Folders by what they hold. */
  readonly disks: Readonly<Record<string, string>>;
  readonly reapAfterTicks: number;
  onError(error: unknown): void;
  /** Default 10 ms. */
  readonly patienceMs?: number;
  /** Default 5 s. */
  readonly keepMs?: number;
  now?(): number;
}

const PATIENCE_MS = 10;
const KEEP_MS = 5_000;
/** A look that takes longer says that what is looked at does not answer. */
const LATE_MS = 2_000;
/** What is older is not shown any more: absent is honest. */
const STALE_MS = 60_000;

interface Look<T> {
  /** What is known now, after a short wait; null when nothing is. */
  value(): Promise<T | null>;
  /** Whether it answered when it was asked last, and does not keep anybody waiting now. */
  isUp(): boolean;
}

type Timing = Pick<SampleParts, "onError"> & Required<Pick<SampleParts, "patienceMs" | "keepMs" | "now">>;

function makeLook<T>(look: () => Promise<T>, { onError, patienceMs, keepMs, now }: Timing): Look<T> {
  let known: { readonly value: T; readonly atMs: number } | null = null;
  let pending: { readonly done: Promise<void>; readonly sinceMs: number } | null = null;
  let answered = true;
  let askedAtMs = Number.NEGATIVE_INFINITY;

  async function ask(): Promise<void> {
    try {
      const value = await look();
      known = { value, atMs: now() };
      answered = true;
    } catch (error) {
      if (answered) onError(error);
      answered = false;
      known = null;
    } finally {
      pending = null;
    }
  }

  return {
    async value() {
      if (pending === null && now() - askedAtMs >= keepMs) {
        askedAtMs = now();
        pending = { done: ask(), sinceMs: now() };
      }
      if (pending !== null) await atMost(pending.done, patienceMs);
      return known === null || now() - known.atMs > STALE_MS ? null : known.value;
    },
    isUp: () => answered && (pending === null || now() - pending.sinceMs < LATE_MS),
  };
}

async function atMost(work: Promise<void>, ms: number): Promise<void> {
  const late = Promise.withResolvers<void>();
  const timer = setTimeout(late.resolve, ms);
  await Promise.race([work, late.promise]);
  clearTimeout(timer);
}

async function lookAtDisks(disks: SampleParts["disks"]): Promise<Readonly<Record<string, DiskState>>> {
  const looks = Object.entries(disks).map(async ([name, path]) => {
    // A folder that is not there yet has no disk to show.
    const state = await statfs(path).catch(() => null);
    if (state === null) return [];
    const { bavail, blocks, bsize } = state;
    return [[name, { freeBytes: bavail * bsize, sizeBytes: blocks * bsize }] as const];
  });
  return Object.fromEntries((await Promise.all(looks)).flat());
}

export function makeSampler(parts: SampleParts): () => Promise<SampledState> {
  const { sql, coordination, disks, reapAfterTicks } = parts;
  const timing = { patienceMs: PATIENCE_MS, keepMs: KEEP_MS, now: () => performance.now(), ...parts };
  const fleet = makeLook<FleetState>(async () => {
    const [gauges, storage] = await Promise.all([readFleetGauges(sql, reapAfterTicks), storedBytes(sql)]);
    return {
      ...gauges,
      storageBytes: Object.fromEntries(storage.map(({ backend, sizeBytes }) => [backend, sizeBytes])),
    };
  }, timing);
  const redis = coordination.kind === "redis" ? makeLook(() => coordination.ping(), timing) : null;
  const disk = makeLook(() => lookAtDisks(disks), timing);
  return async () => {
    const [seen, , space] = await Promise.all([fleet.value(), redis?.value(), disk.value()]);
    const up: Partial<Record<Dependency, boolean>> = {
      database: fleet.isUp(),
      ...(redis === null ? {} : { redis: redis.isUp() }),
    };
    return { fleet: seen, dependencies: up, disks: space ?? {} };
  };
}

/** Which folders this process fills. */
export function disksOf({ process: { dataDir, role }, worker, storage }: Config): Readonly<Record<string, string>> {
  return { data: dataDir, storage: storage.path, ...(role === "api" ? {} : { work: worker.tempDir }) };
}
