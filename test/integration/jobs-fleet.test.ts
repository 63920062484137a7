/** The fleet as a replica reads it every few seconds. */
import { expect, test } from "bun:test";
import type { SqlParam, SqlRunner } from "../../src/database/sql.ts";
import { makeFleetReader, workerClass } from "../../src/jobs/fleet.ts";
import { registerWorker } from "../../src/jobs/liveness.ts";
import type { WorkerId } from "../../src/jobs/types.ts";
import { openTestDatabase } from "../faults/protocol-harness.ts";
import { sampleCapabilities } from "../support/capabilities.ts";

const [older, newer] = [sampleCapabilities(5), sampleCapabilities(9)];
const served = { jobTypes: ["convert"], priorities: ["normal"] } as const;

test("what a worker can do is fetched once, however often the fleet is read", async () => {
  const { sql } = await openTestDatabase("postgres");
  await sql.query("DELETE FROM workers");
  const register = (capabilities: typeof older) => {
    const worker = { ...served, capabilities };
    const workerId = Bun.randomUUIDv7() as WorkerId;
    return registerWorker(sql, {
      ...{ ...worker, workerId, role: "worker", version: "1", slots: 1, class: workerClass(worker) },
    });
  };
  let sent = "";
  const watched: SqlRunner = {
    async query<Row extends object>(text: string, params?: readonly SqlParam[]) {
      const rows = await sql.query<Row>(text, params);
      sent = JSON.stringify(rows);
      return rows;
    },
  };
  const read = makeFleetReader(watched, 3);
  const versions = async () => (await read()).kinds.map(({ capabilities }) => capabilities.ffmpegVersion);
  expect(await read()).toEqual({ capabilities: null, kinds: [], live: [] });

  await register(older);
  expect(await versions()).toEqual([older.ffmpegVersion]);
  await register(newer);
  expect(await versions()).toEqual([older.ffmpegVersion, newer.ffmpegVersion]);
  expect(sent).toContain(newer.ffmpegVersion);
  expect(sent).not.toContain(`"ffmpegVersion":"${older.ffmpegVersion}"`);

  expect((await read()).live).toHaveLength(2);
  expect(sent).not.toContain("ffmpegVersion");
  await sql.query("UPDATE workers SET left_at = now()");
  const { live, capabilities } = await read();
  expect(live).toEqual([]);
  expect(capabilities?.ffmpegVersion).toBe(newer.ffmpegVersion);

  await sql.query("DELETE FROM workers WHERE class = $1", [workerClass({ ...served, capabilities: older })]);
  expect(await versions()).toEqual([newer.ffmpegVersion]);
}, 30_000);
