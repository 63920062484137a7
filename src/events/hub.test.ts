import { expect, test } from "bun:test";
import fc from "fast-check";
import type { Bus, BusMessage } from "../coordination/ports.ts";
import type { SqlRow, SqlRunner } from "../database/sql.ts";
import type { JobEvent, JobId } from "../jobs/types.ts";
import { type EventHub, type EventStream, makeEventHub } from "./hub.ts";
import { publishChange, publishProgress } from "./messages.ts";

const JOB = "0193a000-0000-7000-8000-000000000001" as JobId;

interface World {
  readonly hub: EventHub;
  readonly bus: Bus;
  /** Appends an event to the rows, and says so on the bus unless that message is lost. */
  append(type: JobEvent["type"], told?: boolean): Promise<void>;
  readonly reads: { events: number };
  readonly listening: () => number;
}

function makeBus(): { bus: Bus; listening: () => number } {
  const listeners = new Map<string, Set<(message: BusMessage) => void>>();
  const bus: Bus = {
    async publish(channel, message) {
      for (const listener of listeners.get(channel) ?? []) listener(message);
    },
    async subscribe(channel, listener) {
      const set = listeners.get(channel) ?? new Set();
      listeners.set(channel, set.add(listener));
      return async () => void set.delete(listener);
    },
    close: async () => undefined,
  };
  return { bus, listening: () => [...listeners.values()].reduce((sum, set) => sum + set.size, 0) };
}

/** Rows that answer as the two statements of the hub would, after as many turns as `delay` says. */
function makeWorld({ pollMs = 3_600_000, delay = () => 0 }: { pollMs?: number; delay?: () => number } = {}): World {
  const rows: JobEvent[] = [];
  const reads = { events: 0 };
  let final = false;
  const sql: SqlRunner = {
    async query<Row extends object = SqlRow>(text: string, params: readonly unknown[] = []): Promise<Row[]> {
      const turns = delay();
      // What a statement sees is settled when it runs, which is somewhere within the wait.
      for (let turn = 0; turn < turns; turn++) await Promise.resolve();
      let answer: object[];
      if (text.includes("FROM job_logs")) {
        reads.events++;
        const [, after, limit] = params as [string, number, number];
        answer = rows
          .filter(({ seq }) => seq > after)
          .slice(0, limit)
          .map((event) => ({ job_id: event.jobId, seq: event.seq, type: event.type, data: event.data, at: event.at }));
      } else {
        const ids = params[0] as readonly string[];
        answer = ids.includes(JOB) ? [{ id: JOB, log_seq: rows.length, final }] : [];
      }
      for (let turn = 0; turn < turns; turn++) await Promise.resolve();
      return answer as Row[];
    },
  };
  const { bus, listening } = makeBus();
  const hub = makeEventHub({
    sql,
    bus,
    pollMs,
    onError: (error) => {
      throw error;
    },
  });
  return {
    hub,
    bus,
    reads,
    listening,
    async append(type, told = true) {
      rows.push({ jobId: JOB, seq: rows.length + 1, type, data: {}, at: new Date(0) });
      if (type === "job.completed") final = true;
      if (told) await publishChange(bus, JOB);
    },
  };
}

async function open(world: World, after: number): Promise<EventStream> {
  const stream = await world.hub.open(JOB, after);
  if (stream === null) throw new Error("there is no such job");
  return stream;
}

async function drain(stream: EventStream): Promise<number[]> {
  const seqs: number[] = [];
  for (let item = await stream.next(); item !== null; item = await stream.next()) {
    if (item.kind === "events") seqs.push(...item.events.map(({ seq }) => seq));
  }
  return seqs;
}

const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1);

test("a reader gets what was before, what comes, and the end after the final event", async () => {
  const world = makeWorld();
  await world.append("job.queued");
  await world.append("job.started");
  const stream = await open(world, 0);
  const seqs = drain(stream);
  await world.append("job.stage");
  await world.append("job.completed");
  expect(await seqs).toEqual([1, 2, 3, 4]);
  expect(stream.ended).toBe(true);
  stream.close();
  expect(world.hub.topics).toBe(0);
  expect(world.listening()).toBe(0);
});

test("a job that has ended replays what the reader lacks and ends", async () => {
  const world = makeWorld();
  for (const type of ["job.queued", "job.started", "job.completed"] as const) await world.append(type);
  const behind = await open(world, 2);
  expect(behind.ended).toBe(false);
  expect(await drain(behind)).toEqual([3]);
  const complete = await open(world, 3);
  expect(complete.ended).toBe(true);
  expect(await drain(complete)).toEqual([]);
  const beyond = await open(world, 99);
  expect(await drain(beyond)).toEqual([]);
  behind.close();
  complete.close();
  beyond.close();
});

test("an unknown job has no stream and leaves no subscription", async () => {
  const world = makeWorld();
  expect(await world.hub.open("0193a000-0000-7000-8000-00000000000f" as JobId, 0)).toBeNull();
  expect(world.hub.topics).toBe(0);
  expect(world.listening()).toBe(0);
});

test("a burst of listeners costs one read, not one each", async () => {
  const world = makeWorld();
  await world.append("job.queued");
  const streams = await Promise.all(Array.from({ length: 1_000 }, () => open(world, 1)));
  const all = streams.map(drain);
  world.reads.events = 0;
  await world.append("job.started");
  await world.append("job.completed");
  for (const seqs of await Promise.all(all)) expect(seqs).toEqual([2, 3]);
  expect(world.reads.events).toBeLessThanOrEqual(4);
  for (const stream of streams) stream.close();
  expect(world.listening()).toBe(0);
});

test("progress is the newest only, has no place in the order, and a slow reader is not queued for", async () => {
  const world = makeWorld();
  await world.append("job.queued");
  const stream = await open(world, 0);
  for (let percent = 0; percent <= 100; percent++) {
    const live = { jobId: JOB, stage: "encoding", progress: percent, fps: 25, speed: 1, etaSeconds: null } as const;
    await publishProgress(world.bus, live);
  }
  expect((await stream.next())?.kind).toBe("events");
  expect(await stream.next()).toMatchObject({ kind: "progress", progress: { progress: 100 } });
  stream.close();
  expect(await stream.next()).toBeNull();
});

test("a message that the bus lost is made up for by looking at the rows", async () => {
  const world = makeWorld({ pollMs: 5 });
  await world.append("job.queued");
  const stream = await open(world, 1);
  const seqs = drain(stream);
  await world.append("job.started", false);
  await world.append("job.completed", false);
  expect(await seqs).toEqual([2, 3]);
  stream.close();
});

test("waiting for the end gives up in time", async () => {
  const world = makeWorld();
  await world.append("job.queued");
  expect(await world.hub.waitUntilFinal(JOB, 20)).toBe(false);
  const waiting = world.hub.waitUntilFinal(JOB, 10_000);
  await world.append("job.completed");
  expect(await waiting).toBe(true);
  expect(world.hub.topics).toBe(0);
});

test("closing the hub ends every stream", async () => {
  const world = makeWorld();
  await world.append("job.queued");
  const seqs = drain(await open(world, 0));
  await world.hub.close();
  expect((await seqs).length).toBeLessThanOrEqual(1);
  await expect(world.hub.open(JOB, 0)).rejects.toMatchObject({ kind: "service.unavailable" });
  expect(world.listening()).toBe(0);
});

test("cut and resumed at any point, a reader gets every event once and in order", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 40 }),
      fc.array(fc.integer({ min: 1, max: 5 }), { maxLength: 12 }),
      fc.array(fc.nat(3), { minLength: 1, maxLength: 50 }),
      async (total, cuts, delays) => {
        let turn = 0;
        const world = makeWorld({ pollMs: 1, delay: () => delays[turn++ % delays.length] ?? 0 });
        await world.append("job.queued");
        const writer = (async () => {
          for (let seq = 2; seq <= total; seq++) {
            await world.append(seq === total ? "job.completed" : "job.stage", (delays[seq % delays.length] ?? 0) !== 3);
          }
          if (total === 1) await world.append("job.completed");
        })();
        const seen: number[] = [];
        for (const cut of [...cuts, Number.POSITIVE_INFINITY]) {
          const stream = await open(world, seen.at(-1) ?? 0);
          for (let items = 0; items < cut; items++) {
            const item = await stream.next();
            if (item === null) break;
            if (item.kind === "events") seen.push(...item.events.map(({ seq }) => seq));
          }
          stream.close();
        }
        await writer;
        expect(seen).toEqual(upTo(Math.max(2, total)));
        expect(world.listening()).toBe(0);
        await world.hub.close();
      },
    ),
    { numRuns: 200 },
  );
}, 30_000);
