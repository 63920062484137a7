/** A real Redis in each form that REDIS_URL names: plain, with a password, over TLS, behind sentinels, as a cluster. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { Redis } from "ioredis";
import { freePort, startRedis, startSentinel, type TestServer } from "./servers.ts";
import { until } from "./until.ts";

export interface RedisForm extends AsyncDisposable {
  readonly url: string;
  /** All of its processes, the master first. */
  readonly servers: readonly TestServer[];
}

const PASSWORD = "p@ss/word";
const USER_PART = `:${encodeURIComponent(PASSWORD)}@`;

const hostOf = ({ port }: TestServer): string => `127.0.0.1:${port}`;

function formOf(url: string, servers: readonly TestServer[]): RedisForm {
  return {
    ...{ url, servers },
    async [Symbol.asyncDispose]() {
      await Promise.all(servers.map((server) => server.stop()));
    },
  };
}

async function ask<T>(server: TestServer, work: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = new Redis({ host: "127.0.0.1", port: server.port });
  try {
    return await work(redis);
  } finally {
    redis.disconnect();
  }
}

export async function withPassword(folder: string): Promise<RedisForm> {
  const server = await startRedis(folder, ["--requirepass", PASSWORD]);
  return formOf(`redis://${USER_PART}${hostOf(server)}/3`, [server]);
}

function openssl(folder: string, args: readonly string[]): void {
  const { exitCode, stderr } = Bun.spawnSync(["openssl", ...args], { cwd: folder, stdout: "ignore", stderr: "pipe" });
  if (exitCode !== 0) throw new Error(`openssl ${args[0]} failed: ${stderr}`);
}

/** A certificate of an authority of its own, for 127.0.0.1 and localhost. */
export async function withTls(folder: string): Promise<RedisForm> {
  await mkdir(folder, { recursive: true });
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  openssl(folder, ["req", "-x509", ...key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=test"]);
  openssl(folder, ["req", ...key, "-keyout", "redis.key", "-out", "redis.csr", "-subj", "/CN=localhost"]);
  await Bun.write(join(folder, "names"), "subjectAltName=DNS:localhost,IP:127.0.0.1\n");
  const signing = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names"];
  openssl(folder, ["x509", "-req", "-in", "redis.csr", "-out", "redis.pem", ...signing]);
  const files = { "tls-cert-file": "redis.pem", "tls-key-file": "redis.key", "tls-ca-cert-file": "ca.pem" };
  const paths = Object.entries(files).flatMap(([name, file]) => [`--${name}`, join(folder, file)]);
  const server = await startRedis(folder, [...paths, "--tls-auth-clients", "no"], { tls: true });
  return formOf(`rediss://localhost:${server.port}/0?ca=${join(folder, "ca.pem")}`, [server]);
}

/** A master, a replica, and three sentinels that agree by two. */
export async function withSentinels(folder: string): Promise<RedisForm> {
  const master = await startRedis(join(folder, "master"));
  const replica = await startRedis(join(folder, "replica"), ["--replicaof", "127.0.0.1", `${master.port}`]);
  const sentinels = await Promise.all(
    [1, 2, 3].map((number) => startSentinel(join(folder, `sentinel-${number}`), { master: master.port, quorum: 2 })),
  );
  await until(
    () => ask(replica, async (redis) => (await redis.info("replication")).includes("master_link_status:up")),
    {
      timeoutMs: 20_000,
      what: "the replica to follow",
    },
  );
  for (const sentinel of sentinels) {
    await until(
      () =>
        ask(sentinel, async (redis) => {
          const known = String(await redis.call("INFO", "sentinel"));
          return known.includes("slaves=1") && known.includes("sentinels=3");
        }),
      { timeoutMs: 20_000, what: "the sentinels to know each other" },
    );
  }
  return formOf(`redis+sentinel://${sentinels.map(hostOf).join(",")}/main/0`, [master, replica, ...sentinels]);
}

/** Three masters that share the slots. */
export async function withCluster(folder: string): Promise<RedisForm> {
  const nodes = await Promise.all(
    [1, 2, 3].map(async (number) => {
      // By default it is 10,000 above the first port, where free ports need not be.
      const busPort = freePort();
      const args = ["--cluster-enabled", "yes", "--cluster-port", `${busPort}`];
      return Object.assign(await startRedis(join(folder, `node-${number}`), args), { busPort });
    }),
  );
  const bounds = [0, 5_461, 10_923, 16_384];
  for (const [index, node] of nodes.entries()) {
    await ask(node, async (redis) => {
      await redis.cluster("ADDSLOTSRANGE", bounds[index] ?? 0, (bounds[index + 1] ?? 1) - 1);
      for (const { port, busPort } of nodes.slice(0, index)) await redis.cluster("MEET", "127.0.0.1", port, busPort);
    });
  }
  for (const node of nodes) {
    await until(() => ask(node, async (redis) => (await redis.cluster("INFO")).includes("cluster_state:ok")), {
      timeoutMs: 20_000,
      what: "the cluster to be whole",
    });
  }
  return formOf(`redis+cluster://${nodes.slice(0, 2).map(hostOf).join(",")}`, nodes);
}
