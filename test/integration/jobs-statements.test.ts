/** What a job costs in statements: the goal is at most 12 from submission to completion, whatever its duration. */
import { describe, expect, test } from "bun:test";
import * as writes from "../../src/jobs/attempt-writes.ts";
import { claimJob } from "../../src/jobs/claim.ts";
import { heartbeat } from "../../src/jobs/liveness.ts";
import { insertJob } from "../../src/jobs/store.ts";
import { counting, ENGINES, makeWorker, manifestOf, newJobId, openTestDatabase } from "../faults/protocol-harness.ts";

const STATEMENTS_MAX = 12;

describe("statements per job", () => {
  for (const engine of ENGINES) {
    test(`${engine}: a simple job, from its submission to its completion`, async () => {
      const { sql, keyId } = await openTestDatabase(engine);
      const workerId = await makeWorker(sql);
      const counted = counting(sql);
      const id = newJobId();
      const spec = { input_path: "local://in.mov" };
      await insertJob(counted, { id, keyId, type: "convert", priority: "normal", spec, metadata: {} });
      const claim = await claimJob(counted, { workerId, jobTypes: null, priorities: null, jobId: id });
      const lease = claim?.lease;
      if (lease === undefined) throw new Error("The job was not claimed.");
      const manifest = manifestOf(lease, ["out.mp4", "out.png"]);
      const staging = manifest.steps.map((step) => step.staged);
      await writes.recordStage(counted, lease, "probing");
      await writes.recordStage(counted, lease, "planning", { plan: { steps: [] } });
      await writes.recordStage(counted, lease, "encoding");
      await writes.recordStage(counted, lease, "verifying");
      await writes.recordStaging(
        counted,
        lease,
        staging.map(({ backend, key }) => ({ backend, key })),
      );
      await writes.recordStage(counted, lease, "uploading", { staging });
      await writes.fence(counted, lease, manifest, 60_000);
      const outputs = [
        { ordinal: 0, identity: "one" },
        { ordinal: 1, identity: "two" },
      ];
      expect(await writes.completeJob(counted, lease, { outputs })).toBe(true);
      expect(counted.texts.length).toBeLessThanOrEqual(STATEMENTS_MAX);
      // Room for one BEGIN and COMMIT around the submission (the Idempotency-Key's answer).
      expect(counted.texts.length).toBe(10);
    });

    test(`${engine}: one heartbeat is one statement, whatever the worker runs`, async () => {
      const { sql, keyId } = await openTestDatabase(engine);
      const workerId = await makeWorker(sql);
      for (let job = 0; job < 5; job += 1) {
        await insertJob(sql, { id: newJobId(), keyId, type: "convert", priority: "low", spec: {}, metadata: {} });
        await claimJob(sql, { workerId, jobTypes: null, priorities: null });
      }
      const counted = counting(sql);
      expect((await heartbeat(counted, { workerId })).held.length).toBe(5);
      expect(counted.texts.length).toBe(1);
    });
  }
});
