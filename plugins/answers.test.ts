import { expect, test } from "bun:test";
import { withDeadline } from "./answers.ts";
import { type RendiffServer, setPeer } from "./peers.ts";

test("who waits for a worker is not taken for somebody idle before the time is up", async () => {
  const request = new Request("http://localhost/api/v1/estimate", { method: "POST" });
  const timeouts: (readonly [Request, number])[] = [];
  const server = { timeout: (one: Request, seconds: number) => void timeouts.push([one, seconds]) };
  setPeer(request, { address: "127.0.0.1", server: server as unknown as RendiffServer, metricsOnly: false });
  expect(await withDeadline(request, 90_000, async () => "answer")).toBe("answer");
  expect(timeouts).toEqual([[request, 95]]);
});
