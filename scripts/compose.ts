/**
 * `./dev compose`: starts compose.yml and compose.prod.yml from nothing with their real parts (Grafana apart, which no package
 * holds) and uses them: a job through TLS, a worker killed, a replica rolled, a scan of the ports. Needs root and Linux.
 * `./dev compose embedded`, `cluster` or `prod` starts one of them.
 */
import { cp, mkdir, mkdtemp, rm } from "node:fs/promises";
import { networkInterfaces, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { type Api, type Job, makeApi } from "../test/support/api.ts";
import { freePort } from "../test/support/servers.ts";
import { until } from "../test/support/until.ts";
import {
  BASE,
  buildImage,
  buildProduct,
  hasImage,
  makeBase,
  PODMAN,
  podman,
  prepareContainers,
  pruneLayers,
  run,
  tryRun,
} from "./containers.ts";
import { scanPorts } from "./scan-ports.ts";

const IMAGE = "localhost/rendiff:dev";
const TOOLS = resolve(".cache/compose");
const READY_MS = 180_000;
/** A busy machine is slow; whoever is sent to a replica that is gone would wait for longer. */
const ANSWER_MS = 15_000;
const JOB_MS = 300_000;
/** Of each of two clients: faster, the limits of the key and of Traefik would answer. */
const CALL_PAUSE_MS = 300;
/** Parts of compose files by their Debian packages (test/deploy/images), under the names that the files give them. */
const PARTS = {
  postgres: "localhost/postgres:17-bookworm",
  redis: "localhost/redis:7-bookworm",
  traefik: "localhost/traefik:v3.7",
  prometheus: "localhost/prom/prometheus:v2.55.1",
  alertmanager: "localhost/prom/alertmanager:v0.28.1",
} as const;

/**
 * Podman as podman-compose gets it: without `--requires`, of which podman 4 follows one step only, and so finds a migration
 * that depends on a database missing.
 */
const WRAPPER = `#!/bin/bash
args=()
for arg in "$@"; do case "$arg" in --requires=*) ;; *) args+=("$arg") ;; esac; done
exec ${PODMAN.join(" ")} "\${args[@]}"
`;

class Project implements AsyncDisposable {
  readonly #argv: readonly string[];
  readonly #env: Readonly<Record<string, string>>;
  readonly name: string;

  constructor(folder: string, file: string, name: string, env: Record<string, string>) {
    this.name = name;
    this.#argv = ["python3", join(TOOLS, "podman_compose.py"), "--podman-path", join(folder, "podman")];
    this.#argv = [...this.#argv, "--project-name", name, "--file", join(folder, file)];
    this.#env = { PYTHONPATH: TOOLS, RENDIFF_IMAGE: IMAGE, COMPOSE_PROFILES: "", ...env };
  }

  async compose(...args: readonly string[]): Promise<string> {
    const { exitCode, stdout, stderr } = await tryRun([...this.#argv, ...args], { env: this.#env });
    if (exitCode === 0) return stdout;
    const tail = `${stdout}${stderr}`.trim().split("\n").slice(-25).join("\n");
    throw new Error(`podman-compose ${args.join(" ")} ended with ${exitCode}:\n${tail}`);
  }

  /** The running containers of a service, by name. */
  async containers(service: string): Promise<string[]> {
    const labels = [`io.podman.compose.project=${this.name}`, `com.docker.compose.service=${service}`];
    const filters = labels.flatMap((label) => ["--filter", `label=${label}`]);
    const names = await podman("ps", ...filters, "--format", "{{.Names}}");
    return names.split("\n").filter((name) => name !== "");
  }

  /** Podman 4 cannot wait for a health condition: its check is run here, until it passes. */
  async startHealthy(...services: readonly string[]): Promise<void> {
    await this.compose("up", "--detach", ...services);
    for (const service of services) {
      await until(
        async () => (await podman("healthcheck", "run", (await this.containers(service))[0] ?? "none")) === "",
        {
          ...{ timeoutMs: READY_MS, intervalMs: 500, what: `${service} to be healthy` },
        },
      );
    }
  }

  async exec(service: string, ...command: readonly string[]): Promise<string> {
    const [container = "none"] = await this.containers(service);
    return await podman("exec", container, ...command);
  }

  /** The last lines of every container, for a failure's report. */
  async report(): Promise<string> {
    const names = await podman(
      "ps",
      "--all",
      "--filter",
      `label=io.podman.compose.project=${this.name}`,
      "--format",
      "{{.Names}}",
    );
    const parts = names.split("\n").filter((name) => name !== "");
    const logs = await Promise.all(
      parts.map(async (name) => {
        const { stdout, stderr } = await tryRun([...PODMAN, "logs", "--tail", "15", name]);
        return `--- ${name}\n${stdout}${stderr}`;
      }),
    );
    return logs.join("\n");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.compose("down", "--volumes", "--timeout", "5").catch((error: unknown) => console.log(String(error)));
  }
}

/** The files of the checkout as a user has them, with secrets of their own. */
async function makeSite(): Promise<{ readonly folder: string } & AsyncDisposable> {
  const folder = await mkdtemp(join(tmpdir(), "rendiff-compose-"));
  for (const path of ["compose.yml", "compose.prod.yml", "deploy"])
    await cp(path, join(folder, path), { recursive: true });
  await Bun.write(join(folder, "podman"), WRAPPER);
  await run("chmod", "755", folder, join(folder, "podman"));
  await run("sh", join(folder, "deploy/make-secrets.sh"), join(folder, "secrets"));
  return { folder, [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) };
}

async function buildParts(): Promise<void> {
  await makeBase();
  const context = await mkdtemp(join(tmpdir(), "rendiff-parts-"));
  try {
    await cp("test/deploy/images", context, { recursive: true });
    await cp(join(TOOLS, "bin/traefik"), join(context, "traefik"));
    for (const [target, name] of Object.entries(PARTS)) {
      if (!(await hasImage(name)))
        await buildImage(name, context, ["--target", target, "--build-arg", `BASE_IMAGE=${BASE}`]);
    }
  } finally {
    await rm(context, { recursive: true, force: true });
  }
}

const answers = async (url: string, tls?: object): Promise<number> =>
  (
    await fetch(url, {
      signal: AbortSignal.timeout(ANSWER_MS),
      redirect: "manual",
      ...(tls === undefined ? {} : { tls }),
    })
  ).status;

const untilReady = (url: string, tls?: object) =>
  until(async () => (await answers(`${url}/health/ready`, tls)) === 200, {
    ...{ timeoutMs: READY_MS, intervalMs: 250, what: `${url} to be ready` },
  });

/** A film in the storage of `service`, made by the image's own FFmpeg. */
const makeFilm = (project: Project, service: string, path: string, seconds: number) =>
  project.exec(
    ...([service, "ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i"] as const),
    ...[`testsrc2=s=320x180:r=25:d=${seconds}`, "-c:v", "libx264", "-preset", "ultrafast", path],
  );

const encode = (input: string, output: string, preset: string) => ({
  ...{ input, output },
  operations: [{ type: "transcode", video_codec: "h264", preset }],
});

function expectThat(holds: boolean, otherwise: string): asserts holds {
  if (!holds) throw new Error(otherwise);
}

function expectCompleted(job: Job): void {
  expectThat(job.status === "completed", `The job was ${job.status}: ${JSON.stringify(job.error)}`);
}

async function embedded(folder: string): Promise<void> {
  const port = freePort();
  await using project = new Project(folder, "compose.yml", `rendiff-a${process.pid}`, { PORT: `${port}` });
  await project.compose("up", "--detach", "rendiff");
  const url = `http://127.0.0.1:${port}`;
  await untilReady(url);
  await makeFilm(project, "rendiff", "/data/storage/in.mp4", 1);
  const api = makeApi(url, await project.exec("rendiff", "cat", "/data/admin-key"));
  await api.completed(encode("in.mp4", "out.mp4", "ultrafast"));
}

async function cluster(folder: string): Promise<void> {
  const port = freePort();
  await using project = new Project(folder, "compose.yml", `rendiff-b${process.pid}`, {
    CLUSTER_PORT: `${port}`,
    COMPOSE_PROFILES: "cluster",
  });
  await project.startHealthy("postgres", "redis");
  await project.compose("up", "--detach", "api", "worker");
  const url = `http://127.0.0.1:${port}`;
  await untilReady(url);
  await makeFilm(project, "worker", "/storage/in.mp4", 1);
  const api = makeApi(url, await project.exec("api", "cat", "/data/admin-key"));
  await api.completed(encode("in.mp4", "out.mp4", "ultrafast"), JOB_MS);
  expectThat((await project.containers("rendiff")).length === 0, "The embedded service was started as well.");
}

interface Production {
  readonly project: Project;
  readonly api: Api;
  readonly http: string;
  readonly https: string;
  readonly tls: { readonly ca: string };
}

/** A job through TLS, and what Traefik keeps to itself. */
async function throughTls({ project, api, http, https, tls }: Production): Promise<void> {
  await makeFilm(project, "worker", "/storage/in.mp4", 1);
  await makeFilm(project, "worker", "/storage/long.mp4", 60);
  await api.completed(encode("in.mp4", "out.mp4", "ultrafast"), JOB_MS);
  const plain = await fetch(`${http}/api/v1/jobs`, { redirect: "manual" });
  expectThat(plain.headers.get("location")?.startsWith("https://") === true, "HTTP does not lead to HTTPS.");
  for (const path of ["/metrics", "/api/v1/metrics"]) {
    expectThat((await answers(https + path, tls)) === 404, `${path} is open to everyone.`);
  }
  // By default OpenSSL itself refuses what is old, whatever the other side speaks.
  const speaks = async (version: string): Promise<boolean> => {
    const argv = ["openssl", "s_client", "-connect", new URL(https).host, version, "-cipher", "DEFAULT:@SECLEVEL=0"];
    return (await tryRun(argv)).exitCode === 0;
  };
  expectThat(await speaks("-tls1_2"), "TLS 1.2 is not spoken.");
  expectThat(!(await speaks("-tls1_1")), "TLS 1.1 is spoken.");
}

/** The worker that holds the job dies at once; the other one ends it. */
async function workerKilled({ project, api }: Production): Promise<void> {
  // So slow that it is not over before its worker is found.
  const { id } = await api.convert(encode("long.mp4", "killed.mp4", "veryslow"));
  await until(async () => (await api.job(id)).stage === "encoding", { timeoutMs: 60_000, what: "the job to encode" });
  const workers = await project.containers("worker");
  const busy: string[] = [];
  for (const name of workers) {
    const { stdout } = await tryRun([...PODMAN, "top", name, "args"]);
    if (stdout.includes("ffmpeg")) busy.push(name);
  }
  expectThat(workers.length === 2 && busy.length === 1, `Of ${workers.length} workers ${busy.length} encode.`);
  await podman("kill", "--signal", "KILL", busy[0] ?? "");
  const job = await api.ended(id, JOB_MS);
  expectCompleted(job);
  expectThat(job.attempt === 2, `It took ${job.attempt} attempts.`);
}

/** One API replica is made anew while clients call: none of them notices. */
async function replicaRolled({ project, api, https, tls }: Production): Promise<void> {
  let [calls, rolling] = [0, true];
  const failures: string[] = [];
  const caller = async (): Promise<void> => {
    while (rolling) {
      calls += 1;
      const made = await api
        .call<unknown>("POST", "/convert?dry_run=true", encode("in.mp4", "dry.mp4", "ultrafast"))
        .then(({ status, body }) => (status === 200 ? "" : `${status} ${JSON.stringify(body)}`), String);
      const read = await answers(`${https}/health/live`, tls).then((status) => (status === 200 ? "" : status), String);
      // Which of the two it is says whether a replica refused or Traefik had none.
      if (made !== "" || read !== "") failures.push(`plan: ${made || "ok"}, health: ${read || "ok"}`);
      await Bun.sleep(CALL_PAUSE_MS);
    }
  };
  const callers = [caller(), caller()];
  try {
    for (const replica of ["api-1", "api-2"]) {
      await project.compose("up", "--detach", "--no-deps", "--force-recreate", replica);
      await until(async () => (await project.exec(replica, "rendiff", "health")) !== "", {
        ...{ timeoutMs: READY_MS, intervalMs: 500, what: `${replica} to be back` },
      });
      // Traefik looks now and then, and has to have seen it before the other one goes.
      await untilServed(project, replica);
    }
  } finally {
    rolling = false;
    await Promise.all(callers);
  }
  expectThat(
    failures.length === 0 && calls > 10,
    `${failures.length} of ${calls} calls failed: ${failures.slice(0, 8).join("; ")}`,
  );
  console.log(`  ${calls} rounds of calls meanwhile, none failed`);
}

/** By Traefik's own figure of what it holds for well. */
const untilServed = (project: Project, replica: string) =>
  until(
    async () => {
      const text = await project.exec(
        ...(["prometheus", "wget", "-q", "-O", "-", "http://traefik:8082/metrics"] as const),
      );
      return new RegExp(`traefik_service_server_up{[^}]*${replica}:8000[^}]*} 1$`, "m").test(text);
    },
    { timeoutMs: 60_000, intervalMs: 500, what: `Traefik to trust ${replica}` },
  );

async function scraped({ project }: Production): Promise<void> {
  await until(
    async () => {
      const text = await project.exec(
        ...(["prometheus", "wget", "-q", "-O", "-", "http://127.0.0.1:9090/api/v1/query?query=up"] as const),
      );
      const { data } = JSON.parse(text) as { data: { result: { metric: { job: string }; value: [number, string] }[] } };
      const up = (job: string) =>
        data.result.filter(({ metric, value }) => metric.job === job && value[1] === "1").length;
      // Two replicas and two workers.
      return up("rendiff") === 4 && up("traefik") === 1 && up("prometheus") === 1;
    },
    { timeoutMs: 90_000, intervalMs: 1_000, what: "Prometheus to see every part" },
  );
}

async function production(folder: string): Promise<void> {
  const address = outsideAddress();
  const before = await scanPorts(address);
  const [httpPort, httpsPort] = [freePort(), freePort()];
  await using project = new Project(folder, "compose.prod.yml", `rendiff-c${process.pid}`, {
    HTTP_PORT: `${httpPort}`,
    HTTPS_PORT: `${httpsPort}`,
  });
  const parts = ["traefik", "migrate", "api-1", "api-2", "worker", "prometheus", "alertmanager"];
  try {
    await project.startHealthy("postgres", "redis");
    await project.compose("up", "--detach", ...parts);
    const tls = { ca: await Bun.file(join(folder, "secrets/tls_certificate")).text() };
    const [http, https] = [`http://127.0.0.1:${httpPort}`, `https://127.0.0.1:${httpsPort}`];
    await untilReady(https, tls);
    const key = (await Bun.file(join(folder, "secrets/admin_api_keys")).text()).trim();
    const running = { project, http, https, tls, api: makeApi(https, key, tls) };
    await until(async () => (await project.containers("worker")).length === 2, {
      timeoutMs: READY_MS,
      intervalMs: 500,
    });
    await step("a job goes through TLS, and the metrics do not", () => throughTls(running));
    await step("Prometheus sees every part", () => scraped(running));
    await step("a worker is killed, and another ends its job", () => workerKilled(running));
    await step("both replicas are rolled, and nothing fails", () => replicaRolled(running));
    const opened = (await scanPorts(address)).filter((port) => !before.includes(port));
    await step("two ports are open, those that are documented", async () => {
      const documented = [httpPort, httpsPort].sort((left, right) => left - right);
      expectThat(`${opened}` === `${documented}`, `Open are ${opened}, documented are ${documented}.`);
    });
  } catch (error) {
    console.log(await project.report());
    throw error;
  }
}

/** As others see this machine. */
function outsideAddress(): string {
  const all = Object.values(networkInterfaces()).flatMap((one) => one ?? []);
  return all.find(({ family, internal }) => family === "IPv4" && !internal)?.address ?? "127.0.0.1";
}

let [passed, failed] = [0, 0];

async function step(name: string, work: () => Promise<void>): Promise<void> {
  const started = performance.now();
  try {
    await work();
    passed += 1;
    console.log(`✓ ${name} (${((performance.now() - started) / 1_000).toFixed(0)} s)`);
  } catch (error) {
    failed += 1;
    console.log(`✗ ${name}\n  | ${Bun.inspect(error).replaceAll("\n", "\n  | ")}`);
  }
}

await prepareContainers();
await mkdir(TOOLS, { recursive: true });
await buildProduct(IMAGE);
await buildParts();
await pruneLayers();
await using site = await makeSite();
const STARTS: readonly [word: string, name: string, start: (folder: string) => Promise<void>][] = [
  ["embedded", "compose.yml: one service with everything in it", embedded],
  ["cluster", "compose.yml, profile cluster: api, worker, Postgres, Redis", cluster],
  ["prod", "compose.prod.yml", production],
];
const wanted = process.argv.slice(2);
for (const [word, name, start] of STARTS) {
  if (wanted.length === 0 || wanted.includes(word)) await step(name, () => start(site.folder));
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
