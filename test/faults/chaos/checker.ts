/**
 * The judge. It reads the database, the storage, the process table and the temporary folders, asks no replica and shares
 * no code with what it judges.
 */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { testEnv } from "../../support/env.ts";
import { mediaOf } from "../../support/server.ts";
import type { Submitted } from "./generator.ts";
import type { World } from "./world.ts";

interface JobRow {
  id: string;
  status: string;
  error: unknown;
  log_seq: number;
}

/** Jobs that are not final yet, of those that were acknowledged; a lost one is not final either. */
export async function openJobs(world: World, submitted: readonly Submitted[]): Promise<number> {
  const [row] = await world.rows()<{ final: number }[]>`
    SELECT count(*)::int AS final FROM jobs
    WHERE id = ANY (${submitted.map(({ id }) => id)}::uuid[]) AND completed_at IS NOT NULL`;
  return submitted.length - (row?.final ?? 0);
}

async function judgeRows(world: World, submitted: readonly Submitted[]): Promise<string[]> {
  const sql = world.rows();
  const found: string[] = [];
  const jobs = new Map(
    (await sql<JobRow[]>`SELECT id, status, error, log_seq::int FROM jobs`).map((row) => [row.id, row]),
  );
  for (const { id, output } of submitted) {
    const job = jobs.get(id);
    if (job === undefined) found.push(`lost: ${output} was acknowledged and has no row`);
    else if (job.status !== "completed") found.push(`${output} is ${job.status}: ${JSON.stringify(job.error)}`);
  }
  if (jobs.size !== submitted.length) found.push(`${jobs.size} rows for ${submitted.length} acknowledged jobs`);
  const events = await sql<{ job_id: string; finals: number; events: number; last: number }[]>`
    SELECT job_id, count(*)::int AS events, max(seq)::int AS last,
      (count(*) FILTER (WHERE type IN ('job.completed', 'job.failed', 'job.cancelled')))::int AS finals
    FROM job_logs GROUP BY job_id`;
  for (const { job_id: id, finals, events: count, last } of events) {
    if (finals !== 1) found.push(`job ${id} has ${finals} final events`);
    if (count !== last || last !== jobs.get(id)?.log_seq) found.push(`the events of job ${id} have gaps`);
  }
  if (events.length !== jobs.size) found.push(`${events.length} jobs of ${jobs.size} have events`);
  const attempts = await sql<{ job_id: string }[]>`
    SELECT job_id FROM (SELECT job_id, lease_token - lag(lease_token) OVER (PARTITION BY job_id ORDER BY attempt) AS step
      FROM job_attempts) steps WHERE step <= 0`;
  found.push(...attempts.map(({ job_id: id }) => `the tokens of job ${id} do not grow with its attempts`));
  return found;
}

async function probes({ site }: World, bytes: Uint8Array): Promise<boolean> {
  const path = join(site.folder, "judged.mp4");
  await Bun.write(path, bytes);
  const { exitCode, stdout } = Bun.spawnSync([
    ...[testEnv().ffprobeStatic, "-v", "error", "-count_packets", "-select_streams", "v", "-show_entries"],
    ...["stream=codec_name,nb_read_packets", "-of", "csv=p=0", path],
  ]);
  return exitCode === 0 && /^h264,25\b/.test(stdout.toString());
}

async function judgeOutputs(world: World, submitted: readonly Submitted[]): Promise<string[]> {
  const found: string[] = [];
  const rows = await world.rows()<{ job_id: string; key: string; sha256: string; attempts: number }[]>`
    SELECT job_id, key, sha256, (SELECT count(*)::int FROM job_outputs o WHERE o.job_id = p.job_id) AS attempts
    FROM job_outputs p WHERE ordinal = 0`;
  const stated = new Map(rows.map((row) => [row.job_id, row]));
  for (const { id, output } of submitted) {
    const row = stated.get(id);
    if (row === undefined || row.key !== output) {
      found.push(`the row of ${output} names no such output`);
      continue;
    }
    const bytes = await world.stored.read(output);
    if (bytes === null) found.push(`${output} is not in the storage`);
    else if (new Bun.CryptoHasher("sha256").update(bytes).digest("hex") !== row.sha256)
      found.push(`${output} is not what its winner published`);
    else if (!(await probes(world, bytes))) found.push(`${output} does not pass its probe`);
  }
  return found;
}

/** What is left of jobs that have all ended. */
export async function judgeLeftovers(world: World): Promise<string[]> {
  const { site, replicas } = world;
  const sql = world.rows();
  const folders = await Promise.all(
    replicas.map(async ({ tempDir }) => (await readdir(tempDir).catch(() => [])).map((name) => join(tempDir, name))),
  );
  const [rows] = await sql<{ staging: number; claims: number; held: number }[]>`
    SELECT (SELECT count(*)::int FROM staging) AS staging, (SELECT count(*)::int FROM output_claims) AS claims,
      (SELECT count(*)::int FROM jobs WHERE worker_id IS NOT NULL) AS held`;
  const locks = Bun.spawnSync(["redis-cli", "-p", `${world.redis.port}`, "--raw", "KEYS", "*lock:job:*"]);
  return [
    ...(await world.stored.begun()),
    ...folders.flat().map((path) => `a work folder is left: ${path}`),
    ...mediaOf(site).map(({ pid, commandLine }) => `a process is left: ${pid} ${commandLine}`),
    ...(rows?.staging ? [`${rows.staging} rows of staging are left`] : []),
    ...(rows?.claims ? [`${rows.claims} output keys are still claimed`] : []),
    ...(rows?.held ? [`${rows.held} jobs are still held`] : []),
    ...(locks.stdout.toString().trim() === "" ? [] : [`locks are left: ${locks.stdout.toString().trim()}`]),
  ];
}

/** Everything that is wrong, in words; nothing when all promises were kept. All jobs have to have ended. */
export async function judge(world: World, submitted: readonly Submitted[]): Promise<string[]> {
  const parts = await Promise.all([judgeRows(world, submitted), judgeOutputs(world, submitted), judgeLeftovers(world)]);
  return parts.flat();
}
