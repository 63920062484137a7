/**
 * `./dev image`: builds the image by its Dockerfile and runs it the way users do: from nothing, hardened, killed, drained
 * and started again on its volume. Prints its size and how long it takes to start. Needs root and Linux; what is built is
 * kept for the next time.
 */
import { resolve } from "node:path";
import { type Api, isFinal, makeApi } from "../test/support/api.ts";
import { freePort } from "../test/support/servers.ts";
import { until } from "../test/support/until.ts";
import { buildProduct, imageBytes, PODMAN, podman, prepareContainers, pruneLayers, run, tryRun } from "./containers.ts";

const IMAGE = "localhost/rendiff:dev";
const SIZE_MB_MAX = 450;
const START_MS = 120_000;
/** Of its own: the engine's usual one may have the addresses of another engine's. */
const NETWORK = `rendiff-image-${process.pid}`;
const PROFILE = resolve("deploy/seccomp/rendiff.json");
const HARDENED = [
  ...["--read-only", "--read-only-tmpfs=false", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"],
  ...["--security-opt", `seccomp=${PROFILE}`, "--env", "SANDBOX=required"],
];

interface Container extends AsyncDisposable {
  readonly name: string;
  readonly url: string;
  /** From the command to the first yes of `/health/ready`. */
  readonly startMs: number;
  logs(): Promise<string>;
  exec(...command: readonly string[]): Promise<string>;
}

const measured: [what: string, value: string][] = [];
let counter = 0;

const isReady = async (url: string): Promise<boolean> =>
  (await fetch(`${url}/health/ready`, { signal: AbortSignal.timeout(2_000) })).ok;

async function start(volume: string, options: readonly string[]): Promise<Container> {
  counter += 1;
  const name = `rendiff-image-${process.pid}-${counter}`;
  const port = freePort();
  const url = `http://127.0.0.1:${port}`;
  const startedAt = performance.now();
  const place = ["--network", NETWORK, "--publish", `127.0.0.1:${port}:8000`, "--volume", `${volume}:/data`];
  await podman("run", "--detach", "--pull", "never", "--name", name, ...place, ...options, IMAGE);
  const logs = async () => {
    const { stdout, stderr } = await tryRun([...PODMAN, "logs", name]);
    return stdout + stderr;
  };
  const remove = async () => void (await tryRun([...PODMAN, "rm", "--force", "--time", "0", name]));
  try {
    await until(() => isReady(url), { timeoutMs: START_MS, intervalMs: 50, what: `${name} to be ready` });
  } catch (error) {
    const said = await logs();
    await remove();
    throw new Error(`The container did not start:\n${said}`, { cause: error });
  }
  return {
    ...{ name, url, startMs: performance.now() - startedAt, logs },
    exec: (...command) => podman("exec", name, ...command),
    [Symbol.asyncDispose]: remove,
  };
}

async function apiOf(container: Container): Promise<Api> {
  return makeApi(container.url, await container.exec("cat", "/data/admin-key"));
}

/** A film of `seconds`, made by the image's own FFmpeg. */
const makeFilm = (container: Container, name: string, seconds: number): Promise<string> =>
  container.exec(
    ...["ffmpeg", "-v", "error", "-f", "lavfi", "-i", `testsrc2=s=320x180:r=25:d=${seconds}`],
    ...["-f", "lavfi", "-i", `sine=d=${seconds}`, "-c:v", "libx264", "-preset", "ultrafast", `/data/storage/${name}`],
  );

const encode = (input: string, output: string, preset: string) => ({
  ...{ input, output },
  operations: [{ type: "transcode", video_codec: "h264", preset }],
});

function expectThat(holds: boolean, otherwise: string): asserts holds {
  if (!holds) throw new Error(otherwise);
}

async function sandboxOf(container: Container): Promise<{ mode: string; reason: string }> {
  const line = (await container.logs()).split("\n").find((one) => one.includes('"FFmpeg was tried"')) ?? "{}";
  const { sandbox } = JSON.parse(line) as { sandbox?: { mode: string; reason: string } };
  expectThat(sandbox !== undefined, "The container does not say at its start what sandbox it has.");
  return sandbox;
}

/** `docker run -p 8000:8000 -v data:/data rendiff`, and nothing else. */
async function bare(volume: string): Promise<void> {
  await using container = await start(volume, []);
  measured.push(["first start", `${(container.startMs / 1_000).toFixed(1)} s, from nothing`]);
  const { mode, reason } = await sandboxOf(container);
  measured.push(["sandbox with the engine's own profile", `${mode}: ${reason}`]);
  await container.exec("rendiff", "health");
  await podman("healthcheck", "run", container.name);
  await makeFilm(container, "in.mp4", 2);
  const api = await apiOf(container);
  await api.completed({ input: "in.mp4", output: "scaled.mp4", operations: [{ type: "scale", height: 90 }] });
}

async function hardened(volume: string): Promise<void> {
  await using container = await start(volume, HARDENED);
  measured.push(["start with its volume, hardened", `${(container.startMs / 1_000).toFixed(1)} s`]);
  const { mode, reason } = await sandboxOf(container);
  expectThat(mode === "bubblewrap", `The sandbox did not hold as an ordinary user: ${reason}`);
  expectThat((await container.exec("rendiff", "doctor")).includes("✓ sandbox"), "The doctor finds no sandbox.");
  const pid = await podman("inspect", "--format", "{{.State.Pid}}", container.name);
  const status = await Bun.file(`/proc/${pid}/status`).text();
  expectThat(/^Uid:\s+10001\s+10001\s+10001\s+10001$/m.test(status), "The server does not run as its own user.");
  expectThat(/^CapPrm:\s+0+$/m.test(status), "The server holds capabilities.");
  const api = await apiOf(container);
  await api.completed(encode("in.mp4", "coded.mp4", "fast"));
  await packages(api);
  await analyses(api);
}

async function packages(api: Api): Promise<void> {
  const body = { input_path: "in.mp4", output_path: "web", format: "both", variants: [{ height: 180 }] };
  const made = await api.call<{ id: string }>("POST", "/stream", body);
  expectThat(made.status === 201, `A package was not accepted: ${JSON.stringify(made.body)}`);
  const { status, error } = await api.ended(made.body.id);
  expectThat(status === "completed", `The package ${status}: ${error?.message}`);
}

async function analyses(api: Api): Promise<void> {
  const body = { reference_path: "in.mp4", distorted_path: "coded.mp4", metrics: ["vmaf"] };
  const made = await api.call<{ id: string }>("POST", "/analyze", body);
  expectThat(made.status === 201, `A VMAF analysis was not accepted: ${JSON.stringify(made.body)}`);
  const { status, error } = await api.ended(made.body.id);
  expectThat(status === "completed", `The analysis ${status}: ${error?.message}`);
  const { body: job } = await api.call<{ results: { vmaf: { score: number } } }>("GET", `/jobs/${made.body.id}`);
  measured.push(["VMAF of a re-encode", job.results.vmaf.score.toFixed(1)]);
}

const untilEncoding = (api: Api, id: string) =>
  until(async () => (await api.job(id)).stage === "encoding", { timeoutMs: 30_000, what: "the job to encode" });

/** SIGKILL in the middle of a job, then another container on the same volume: the job runs to its end. */
async function killed(volume: string): Promise<void> {
  let id: string;
  {
    await using container = await start(volume, HARDENED);
    await makeFilm(container, "long.mp4", 60);
    const api = await apiOf(container);
    id = (await api.convert(encode("long.mp4", "killed.mp4", "slow"))).id;
    await untilEncoding(api, id);
    await podman("kill", "--signal", "KILL", container.name);
  }
  await using container = await start(volume, HARDENED);
  const job = await (await apiOf(container)).ended(id, 300_000);
  expectThat(job.status === "completed" && job.attempt === 2, `The job was ${job.status} in attempt ${job.attempt}.`);
}

/** SIGTERM in the middle of a job: the container ends by itself, after the job. */
async function drained(volume: string): Promise<void> {
  let id: string;
  {
    await using container = await start(volume, [...HARDENED, "--env", "DRAIN_DELAY=1s"]);
    const api = await apiOf(container);
    id = (await api.convert(encode("long.mp4", "drained.mp4", "medium"))).id;
    await untilEncoding(api, id);
    await podman("stop", "--time", "300", container.name);
    const code = await podman("inspect", "--format", "{{.State.ExitCode}}", container.name);
    expectThat(code === "0", `It ended with ${code}:\n${await container.logs()}`);
  }
  await using container = await start(volume, HARDENED);
  const job = await (await apiOf(container)).job(id);
  expectThat(isFinal(job) && job.attempt === 1, `After the drain the job is ${job.status} in attempt ${job.attempt}.`);
}

/** What a user finds in the image besides the programs. */
async function contents(volume: string): Promise<void> {
  await using container = await start(volume, []);
  const sbom = JSON.parse(await container.exec("cat", "/usr/share/rendiff/sbom.cdx.json")) as {
    components: { name: string; version: string }[];
  };
  for (const name of ["ffmpeg", "ffprobe", "shaka-packager", "bun", "elysia", "bubblewrap", "libc6"]) {
    expectThat(
      sbom.components.some((one) => one.name === name && one.version !== ""),
      `The SBOM lacks ${name}.`,
    );
  }
  expectThat(
    (await container.exec("cat", "/usr/share/rendiff/licences/NOTICE")).includes("GPL"),
    "The notice is not there.",
  );
  expectThat(
    (await container.exec("cat", "/usr/share/common-licenses/GPL-3")).includes("GNU"),
    "The GPL is not there.",
  );
}

const CHECKS: readonly [name: string, check: (volume: string) => Promise<void>][] = [
  ["starts from nothing and runs a job", bare],
  ["runs as nobody, on a read-only root, without a capability, FFmpeg in its sandbox", hardened],
  ["goes on after a kill, with its volume", killed],
  ["drains on SIGTERM", drained],
  ["says what is in it", contents],
];

await prepareContainers();
await run(resolve(".cache/deploy/bin/hadolint"), "Dockerfile");
console.log("✓ hadolint has nothing to say");
const buildStart = performance.now();
await buildProduct(IMAGE);
await pruneLayers();
const sizeMb = (await imageBytes(IMAGE)) / 1e6;
measured.push(
  ["size", `${sizeMb.toFixed(0)} MB`],
  ["build", `${((performance.now() - buildStart) / 1_000).toFixed(0)} s`],
);
const volume = `rendiff-image-${process.pid}`;
await podman("volume", "create", volume);
await podman("network", "create", NETWORK);
let failed = 0;
try {
  for (const [name, check] of CHECKS) {
    try {
      await check(volume);
      console.log(`✓ ${name}`);
    } catch (error) {
      failed += 1;
      console.log(`✗ ${name}\n  | ${Bun.inspect(error).replaceAll("\n", "\n  | ")}`);
    }
  }
} finally {
  await podman("volume", "rm", "--force", volume);
  await podman("network", "rm", "--force", NETWORK);
}
if (sizeMb > SIZE_MB_MAX) {
  failed += 1;
  console.log(`✗ the image has ${sizeMb.toFixed(0)} MB, more than ${SIZE_MB_MAX}`);
}
console.log("");
for (const [what, value] of measured) console.log(`${what.padEnd(40)} ${value}`);
console.log(`${CHECKS.length + 2 - failed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
