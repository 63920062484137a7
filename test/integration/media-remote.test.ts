/** Probes over the bus, of a real Redis that freezes, dies and forgets while somebody waits for an answer. */
import { beforeAll, describe, expect, test } from "bun:test";
import type { MediaService } from "../../plugins/context.ts";
import { answerRequests, askWorkers, type RemoteMedia } from "../../src/boot/media-remote.ts";
import { openRedisCoordination, type RedisCoordination } from "../../src/coordination/redis/redis.ts";
import { RendiffError } from "../../src/errors.ts";
import type { ObjectRef } from "../../src/storage/port.ts";
import { afterFile } from "../support/cleanup.ts";
import { startRedis, type TestServer } from "../support/servers.ts";
import { silentLogger } from "../support/silent-logger.ts";
import { makeTempDir } from "../support/temp-dir.ts";
import { until } from "../support/until.ts";

const WAIT_MS = 20_000;
const refOf = (key: string): ObjectRef => ({ backend: "local", key });
const signal = (): AbortSignal => AbortSignal.timeout(WAIT_MS);

describe("a replica that asks workers", () => {
  let server: TestServer;
  let asking: RemoteMedia;
  let stopWorker: () => Promise<void>;
  /** By key: what holds an answer back. */
  const held = new Map<string, Promise<void>>();
  const probed: string[] = [];

  const open = async (): Promise<RedisCoordination> => {
    const coordination = await openRedisCoordination({ url: server.url, prefix: "{media}:" });
    afterFile(() => coordination.close());
    return coordination;
  };

  beforeAll(async () => {
    server = await startRedis(await makeTempDir("redis"));
    afterFile(() => server.stop());
    const media = {
      async probe({ key }: ObjectRef) {
        probed.push(key);
        await held.get(key);
        if (key === "none") throw new RendiffError({ kind: "input.not_found", publicMessage: "It is not there." });
        return { key };
      },
    } as unknown as MediaService;
    const { bus, locks } = await open();
    stopWorker = await answerRequests({ bus, locks, media, logger: silentLogger() });
    asking = await askWorkers((await open()).bus, () => true);
  });

  const probe = async (key: string): Promise<string> =>
    ((await asking.probe(refOf(key), signal())) as unknown as { key: string }).key;

  test("is answered, also with what went wrong there", async () => {
    expect(await probe("a")).toBe("a");
    await expect(probe("none")).rejects.toMatchObject({ kind: "input.not_found" });
  });

  test(
    "is answered although the broker is frozen for longer than a command may take",
    async () => {
      process.kill(server.pid, "SIGSTOP");
      const frozenAtMs = performance.now();
      const answer = probe("frozen");
      await until(() => performance.now() - frozenAtMs > 1_200);
      process.kill(server.pid, "SIGCONT");
      expect(await answer).toBe("frozen");
    },
    WAIT_MS,
  );

  test(
    "is answered although the broker dies and comes back, before it is asked and before it answers",
    async () => {
      await server.crash();
      const before = probe("before");
      await server.restart();
      expect(await before).toBe("before");
      const answer = Promise.withResolvers<void>();
      held.set("between", answer.promise);
      const between = probe("between");
      await until(() => probed.includes("between"));
      await server.crash();
      answer.resolve();
      await server.restart();
      expect(await between).toBe("between");
    },
    WAIT_MS,
  );

  test(
    "is answered although all workers were busy",
    async () => {
      const end = Promise.withResolvers<void>();
      const keys = Array.from({ length: 6 }, (_, index) => `busy-${index}`);
      for (const key of keys) held.set(key, end.promise);
      const answers = keys.map(probe);
      await until(() => probed.filter((key) => key.startsWith("busy")).length === 4);
      end.resolve();
      expect(await Promise.all(answers)).toEqual(keys);
      // Repeated under its own id: nobody looked twice.
      expect(probed.filter((key) => key.startsWith("busy")).sort()).toEqual(keys);
    },
    WAIT_MS,
  );

  test(
    "is answered by a worker that leaves meanwhile",
    async () => {
      const end = Promise.withResolvers<void>();
      held.set("last", end.promise);
      const answer = probe("last");
      await until(() => probed.includes("last"));
      const stopped = stopWorker();
      end.resolve();
      expect(await answer).toBe("last");
      await stopped;
    },
    WAIT_MS,
  );

  test(
    "is refused when the broker stays away",
    async () => {
      await server.crash();
      await expect(probe("away")).rejects.toMatchObject({ kind: "service.unavailable" });
    },
    WAIT_MS,
  );
});
