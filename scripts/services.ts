/** What the tests and the benches run against: servers in the run's folder, and the programs that ./dev found. */
import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { startPostgres, startRedis, type TestServer } from "../test/support/servers.ts";

export interface Services extends AsyncDisposable {
  readonly env: Record<string, string>;
  /** Process ids of the servers, which are not left behind but ours. */
  readonly servers: readonly number[];
}

const BINARY = "dist/rendiff";
/** What a developer has set for Rendiff itself must not change what the tests see. */
const KEPT = /^(PATH|HOME|USER|LOGNAME|SHELL|LANG|LC_\w+|TZ|TERM|CI|XDG_RUNTIME_DIR|BUN_\w+|TEST_\w+)$/;

function programs(): Record<string, string> {
  const ffprobe = resolve("node_modules/@ffprobe-installer/linux-x64/ffprobe");
  return {
    TEST_STORES: resolve(".cache/stores"),
    TEST_DEPLOY: resolve(".cache/deploy"),
    TEST_SCHEMATHESIS: resolve(".cache/schemathesis"),
    TEST_FFMPEG_9: resolve(".cache/ffmpeg-9/ffmpeg"),
    // Only Linux on x64 has a static one; elsewhere the system's serves.
    TEST_FFPROBE_STATIC: existsSync(ffprobe) ? ffprobe : (Bun.which("ffprobe") ?? ""),
    ...(existsSync(BINARY) ? { TEST_BINARY: resolve(BINARY) } : {}),
  };
}

/** Starts Postgres and Redis below `folder`; the environment says where they and the temporary folder are. */
export async function startServices(folder: string): Promise<Services> {
  const temp = join(folder, "tmp");
  await mkdir(temp, { mode: 0o711 });
  const started = await Promise.allSettled([
    startPostgres(join(folder, "postgres")),
    startRedis(join(folder, "redis")),
  ]);
  const stopAll = async () => {
    const servers = started.flatMap((one): TestServer[] => (one.status === "fulfilled" ? [one.value] : []));
    await Promise.all(servers.map((server) => server.stop()));
  };
  const [postgres, redis] = started;
  if (postgres.status === "rejected" || redis.status === "rejected") {
    await stopAll();
    throw postgres.status === "rejected" ? postgres.reason : (redis as PromiseRejectedResult).reason;
  }
  const kept = Object.entries(Bun.env).filter(([name, value]) => KEPT.test(name) && value !== undefined);
  return {
    env: {
      ...(Object.fromEntries(kept) as Record<string, string>),
      ...programs(),
      TEST_POSTGRES_URL: postgres.value.url,
      TEST_REDIS_URL: redis.value.url,
      TEST_KNOWN: join(folder, "known"),
      RENDIFF_ENV: "test",
      TMPDIR: temp,
      NO_COLOR: "1",
    },
    servers: [postgres.value.pid, redis.value.pid],
    [Symbol.asyncDispose]: stopAll,
  };
}
