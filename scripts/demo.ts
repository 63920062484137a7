/** `./dev demo [--keep]`: one real video through the real API, watched live, and what it cost beside FFmpeg alone. */
import { copyFile, mkdir, mkdtemp, rename, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, relative, resolve } from "node:path";
import { makeBar } from "./demo-bar.ts";
import { type Client, type Job, makeClient, type Output, type Progress, type Stream } from "./demo-client.ts";
import { type DemoServer, startServer } from "./demo-server.ts";
import { untilInterrupted } from "./run-folder.ts";

const CLIP = resolve(".cache/demo-clip.mp4");
const CLIP_SECONDS = 20;
const INPUT = "clip.mp4";
const REQUEST = {
  input_path: INPUT,
  output_path: "converted.mp4",
  operations: [
    { type: "scale", width: 854, height: 480 },
    { type: "transcode", video_codec: "h264", crf: 26, preset: "veryfast", audio_codec: "aac" },
  ],
};

const args = process.argv.slice(2);
const keep = args.includes("--keep");
const interrupted = untilInterrupted();
const say = (text: string) => process.stdout.write(`${text}\n`);

async function ffmpeg(argv: readonly string[], cwd?: string): Promise<void> {
  const child = Bun.spawn(["ffmpeg", "-nostdin", "-hide_banner", "-nostats", "-v", "error", "-y", ...argv], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
    ...(cwd === undefined ? {} : { cwd }),
  });
  const stop = () => child.kill("SIGKILL");
  interrupted.addEventListener("abort", stop);
  const [stderr, code] = await Promise.all([new Response(child.stderr).text(), child.exited]);
  interrupted.removeEventListener("abort", stop);
  if (code !== 0) throw new Error(`FFmpeg ended with ${code}:\n${stderr.trim()}`);
}

/** Twenty seconds of moving test picture with a tone, made once. */
async function makeClip(): Promise<void> {
  if (await Bun.file(CLIP).exists()) return;
  const scratch = `${CLIP}.${process.pid}.mp4`;
  const video = ["-f", "lavfi", "-i", `testsrc2=size=1280x720:rate=25:duration=${CLIP_SECONDS}`];
  const audio = ["-f", "lavfi", "-i", `sine=frequency=440:sample_rate=48000:duration=${CLIP_SECONDS}`];
  const codecs = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac"];
  await ffmpeg([...video, ...audio, ...codecs, scratch]);
  await rename(scratch, CLIP);
}

/** Follows the job to its end and returns how long it took, as its client sees it. */
async function convert(client: Client): Promise<{ job: Job; seconds: number }> {
  const started = performance.now();
  const { id } = await client.convert(REQUEST);
  const bar = makeBar(process.stdout.isTTY === true, (text) => process.stdout.write(text));
  for await (const { type, data } of await client.events(id)) {
    if (type === "progress") bar.show(data as Progress);
    if (/^job\.(completed|failed|cancelled)$/.test(type)) break;
  }
  const seconds = (performance.now() - started) / 1_000;
  bar.end();
  const job = await client.job(id);
  if (job.status !== "completed") {
    throw new Error(
      `The job ended as ${job.status}: ${job.error?.message ?? "no reason given"} ${job.error?.hint ?? ""}`,
    );
  }
  return { job, seconds };
}

/** The very arguments that the server used, without the server; seconds of wall time. */
async function bareFfmpeg(client: Client): Promise<number> {
  const steps = await client.plan(REQUEST);
  const folder = await mkdtemp(join(tmpdir(), "rendiff-demo-"));
  try {
    await mkdir(join(folder, "in"));
    await symlink(CLIP, join(folder, "in/0"));
    for (const file of steps.flatMap(({ writes }) => writes)) {
      await mkdir(dirname(join(folder, file)), { recursive: true });
    }
    const started = performance.now();
    for (const { argv } of steps) await ffmpeg(argv, folder);
    return (performance.now() - started) / 1_000;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function describeStream({ kind, codec, width, height, average_fps: fps, channels, sample_rate: rate }: Stream): string {
  if (kind === "video") return `${codec} ${width}x${height}${fps == null ? "" : ` at ${fps} fps`}`;
  if (kind === "audio") return `${codec}, ${channels} channel(s) at ${rate} Hz`;
  return `${kind} ${codec}`;
}

function printOutput({ uri, bytes, sha256, media }: Output, server: DemoServer): void {
  const path = join(server.storage, uri.replace(/^.*[/:]/, ""));
  say(`\nVerified output: ${relative(process.cwd(), path)} (${uri})`);
  say(
    `  ${media.container}, ${media.duration_seconds?.toFixed(2)} s, ${(bytes / 1e6).toFixed(2)} MB, sha256 ${sha256}`,
  );
  for (const stream of media.streams) say(`  ${stream.kind}: ${describeStream(stream)}`);
}

function printCurls({ url, key }: DemoServer, id: string): void {
  const header = `-H 'X-API-Key: ${key}'`;
  const api = `${url}/api/v1`;
  const body = JSON.stringify({ ...REQUEST, output_path: "again.mp4" });
  say(`
The server is up at ${url}, with its documentation at ${url}/docs. Try:

  curl -s ${header} -H 'Content-Type: application/json' -d '${body}' ${api}/convert
  curl -s ${header} ${api}/jobs/${id}
  curl -s ${header} '${api}/jobs?status=completed'
  curl -sN ${header} ${api}/jobs/${id}/events
  curl -s ${header} ${api}/jobs/${id}/outputs
  curl -s ${header} ${api}/capabilities
  curl -s ${url}/health

Ctrl-C ends it.`);
}

async function untilEnd(server: DemoServer): Promise<void> {
  const stopped = new Promise<"stopped">((done) => interrupted.addEventListener("abort", () => done("stopped")));
  const ended = await Promise.race([stopped, server.exited]);
  if (ended !== "stopped") throw new Error(`The server ended with ${ended}; its log is ${server.log}.`);
}

async function demo(): Promise<void> {
  say(`Making a clip of ${CLIP_SECONDS} s in 720p and starting the server (embedded: no Postgres, no Redis)…`);
  const clip = makeClip();
  // Its failure is looked at below, after the server, which has to be ended either way.
  clip.catch(() => {});
  await using running = await startServer();
  await clip;
  await copyFile(CLIP, join(running.storage, INPUT));
  const client = makeClient(running.url, running.key, interrupted);
  say(`POST ${running.url}/api/v1/convert\n  ${JSON.stringify(REQUEST)}`);
  const { job, seconds } = await convert(client);
  for (const output of await client.outputs(job.id)) printOutput(output, running);
  for (const warning of job.warnings) say(`  warning: ${warning}`);
  const bare = await bareFfmpeg(client);
  const ratio = (seconds / bare).toFixed(2);
  say(`  took ${seconds.toFixed(2)} s through the API, ${bare.toFixed(2)} s by FFmpeg alone (${ratio} times)`);
  if (keep) {
    printCurls(running, job.id);
    await untilEnd(running);
  }
}

const unknown = args.find((arg) => arg !== "--keep");
if (unknown !== undefined) {
  console.error(`${unknown} is no option of ./dev demo; --keep is.`);
  process.exit(64);
}
try {
  await demo();
} catch (error) {
  if (!interrupted.aborted) console.error(`\n${error instanceof Error ? error.message : String(error)}`);
  process.exit(interrupted.aborted ? 130 : 1);
}
process.exit(0);
