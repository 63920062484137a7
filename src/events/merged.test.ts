import { expect, test } from "bun:test";
import type { JobId } from "../jobs/types.ts";
import type { EventHub } from "./hub.ts";
import { openMerged } from "./merged.ts";

test("where one job cannot be followed, the streams of the others are closed", async () => {
  const closed: string[] = [];
  const away = new Error("The database is away.");
  const open = async (jobId: JobId) => {
    if (jobId === "away") throw away;
    return { close: () => closed.push(jobId) };
  };
  const hub = { open } as unknown as EventHub;
  await expect(openMerged(hub, ["one", "away", "two"] as JobId[], [0, 0, 0])).rejects.toBe(away);
  expect(closed).toEqual(["one", "two"]);
});
