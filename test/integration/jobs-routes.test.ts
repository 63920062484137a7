/** Who gets which job where workers differ: by type, priority and kind, in the order of the queue, and past all others. */
import { describe, expect, test } from "bun:test";
import { claimJob } from "../../src/jobs/claim.ts";
import { passOn } from "../../src/jobs/finish.ts";
import { pauseClasses, resumeClasses } from "../../src/jobs/pauses.ts";
import { getJob } from "../../src/jobs/store.ts";
import { type JobId, type JobType, PRIORITIES, type Priority } from "../../src/jobs/types.ts";
import { makeRandom } from "../faults/chaos/random.ts";
import { ENGINES, openQueue, submit } from "../faults/protocol-harness.ts";

const TYPES: readonly JobType[] = ["convert", "stream", "analyze"];
const UNFIT = [[], ["old"], ["card", "old"]] as const;

interface Picky {
  readonly jobTypes: readonly JobType[] | null;
  readonly priorities: readonly Priority[] | null;
  readonly kind: string | null;
}

for (const engine of ENGINES) {
  describe(engine, async () => {
    const { database, workerId } = await openQueue(engine);
    const claim = async (picky: Picky, routed: boolean): Promise<JobId | null> =>
      (await claimJob(database.sql, { workerId, ...picky, routed }))?.job.id ?? null;
    const putBack = (): Promise<unknown> =>
      database.sql.query("UPDATE jobs SET status = 'queued', worker_id = NULL WHERE status = 'processing'");

    test("a worker that is picky gets by routes what it would get by reading the whole queue", async () => {
      const random = makeRandom(5);
      for (let n = 0; n < 60; n += 1) {
        await submit(database, {
          ...{ type: random.pick(TYPES), priority: random.pick(PRIORITIES), unfit: [...random.pick(UNFIT)] },
        });
      }
      for (let round = 0; round < 12; round += 1) {
        const picky: Picky = {
          jobTypes: random.int(2) === 0 ? null : [random.pick(TYPES)],
          priorities: random.int(2) === 0 ? null : [random.pick(PRIORITIES)],
          kind: random.pick([null, "old", "card", "new"]),
        };
        if (round === 6) await pauseClasses(database.sql, ["high"], "test");
        const expected = await claim(picky, false);
        await putBack();
        expect([picky, await claim(picky, true)]).toEqual([picky, expected]);
        await putBack();
      }
      await resumeClasses(database.sql, ["high"]);
    });

    test("a job goes to no worker of a kind that it is beyond, hinted or not", async () => {
      const id = await submit(database, { unfit: ["old"] });
      const all = { jobTypes: null, priorities: null };
      expect(await claim({ ...all, kind: "old" }, false)).toBeNull();
      expect(await claim({ ...all, kind: "old" }, true)).toBeNull();
      expect(await claimJob(database.sql, { workerId, ...all, kind: "old", jobId: id })).toBeNull();
      expect(await claim({ ...all, kind: "new" }, true)).toBe(id);
    });

    test("what a worker passes on is charged to nobody, and is not offered to its kind again", async () => {
      const id = await submit(database);
      const any = { jobTypes: null, priorities: null };
      const claimed = await claimJob(database.sql, { workerId, ...any, kind: "old" });
      expect(claimed?.job.id).toBe(id);
      if (claimed !== null) expect(await passOn(database.sql, claimed.lease, "old")).toBe(true);
      const job = await getJob(database.sql, { jobId: id, keyId: null });
      expect([job?.status, job?.failureCount, job?.crashCount, job?.unfit]).toEqual(["queued", 0, 0, ["old"]]);
      expect(await claim({ ...any, kind: "old" }, true)).toBeNull();
      expect(await claim({ ...any, kind: "new" }, true)).toBe(id);
    });
  });
}
