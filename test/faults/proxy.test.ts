/** Traefik as `deploy/` sets it up, before replicas that break: what it sends again, and what it never does. */
import { describe, expect, test } from "bun:test";
import { createServer, type Server } from "node:http";
import { afterFile } from "../support/cleanup.ts";
import { testEnv } from "../support/env.ts";
import { startProxy } from "../support/traefik.ts";
import { until } from "../support/until.ts";

interface Replica {
  readonly url: string;
  readonly server: Server;
  /** Requests for jobs that it got whole. */
  got: number;
  /** Whether it answers them; else it is gone once it has them. */
  answers: boolean;
}

async function startReplica(): Promise<Replica> {
  const server = createServer((request, response) => {
    if (request.url === "/health/ready") return void response.writeHead(200).end();
    request.resume().on("end", () => {
      replica.got += 1;
      if (replica.answers) response.writeHead(201).end();
      else request.socket.destroy();
    });
  });
  const listening = Promise.withResolvers<void>();
  server.listen(0, "127.0.0.1", listening.resolve);
  await listening.promise;
  const { port } = server.address() as { port: number };
  const replica: Replica = { url: `http://127.0.0.1:${port}`, server, got: 0, answers: true };
  afterFile(() => void server.close());
  return replica;
}

describe("Traefik", () => {
  if (!testEnv().long) return;

  test("a job is never given twice, and a replica that is gone is passed over", async () => {
    const [first, second] = [await startReplica(), await startReplica()];
    const url = await startProxy([first.url, second.url]);
    const post = async (): Promise<number> => {
      const body = JSON.stringify({ input: "in.mp4" });
      const headers = { "content-type": "application/json", connection: "close" };
      const options = { method: "POST", body, headers, tls: { rejectUnauthorized: false } };
      return (await fetch(`${url}/api/v1/convert`, options).catch(() => ({ status: 0 }))).status;
    };
    await until(async () => (await post()) === 201);
    const forget = (): void => {
      for (const replica of [first, second]) replica.got = 0;
    };
    const posts = async (count: number): Promise<number[]> => {
      const statuses: number[] = [];
      for (let turn = 0; turn < count; turn += 1) statuses.push(await post());
      return statuses;
    };

    forget();
    first.answers = false;
    const statuses = await posts(20);
    expect(first.got + second.got).toBe(20);
    expect(statuses.filter((status) => status === 201)).toHaveLength(second.got);
    expect(first.got).toBeGreaterThan(0);

    forget();
    first.answers = true;
    first.server.closeAllConnections();
    first.server.close();
    expect(new Set(await posts(20))).toEqual(new Set([201]));
    expect(second.got).toBe(20);
  });
});
