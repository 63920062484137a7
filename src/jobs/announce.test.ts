import { expect, test } from "bun:test";
import { silentLogger } from "../../test/support/silent-logger.ts";
import { makeMemoryCoordination } from "../coordination/memory/memory.ts";
import { announceJob } from "./announce.ts";
import type { Job } from "./types.ts";

const HOUR_MS = 3_600_000;

/** The hints that a queued job gets which was changed at `nowMs` by the database's clock. */
async function hintsAt(nowMs: number, waitsMs: number): Promise<number> {
  const coordination = makeMemoryCoordination();
  const times = { updatedAt: new Date(nowMs), runAt: new Date(nowMs + waitsMs) };
  const job = { id: "job", status: "queued", priority: "normal", queueRank: 1, ...times } as unknown as Job;
  await announceJob({ coordination, logger: silentLogger() }, job);
  return (await coordination.readyQueue.depths()).normal;
}

test("a job that may run now gets its hint, whatever clock the database has; one that waits gets none", async () => {
  for (const aheadMs of [-HOUR_MS, 0, HOUR_MS]) {
    expect(await hintsAt(Date.now() + aheadMs, 0)).toBe(1);
    expect(await hintsAt(Date.now() + aheadMs, 1)).toBe(0);
  }
});
