/** A job's events as clients read them, whatever carries them: SSE, WebSocket or the log. */
import { type Bus, type BusMessage, channels } from "../coordination/ports.ts";
import { type JobEvent, type JobId, type LiveProgress, STAGES } from "../jobs/types.ts";

export interface EventMessage {
  readonly job_id: string;
  readonly seq: number;
  readonly type: string;
  readonly at: string;
  readonly data: Readonly<Record<string, unknown>>;
}

export interface ProgressMessage {
  readonly job_id: string;
  readonly type: "progress";
  readonly stage: string;
  readonly progress: number;
  readonly fps: number | null;
  readonly speed: number | null;
  readonly eta_seconds: number | null;
}

/** The events after which a job has none of its own any more. */
const FINAL_EVENTS: ReadonlySet<string> = new Set(["job.completed", "job.failed", "job.cancelled"]);

export function isFinalEvent(event: JobEvent): boolean {
  return FINAL_EVENTS.has(event.type);
}

export function toEventMessage(event: JobEvent): EventMessage {
  return { job_id: event.jobId, seq: event.seq, type: event.type, at: event.at.toISOString(), data: event.data };
}

export function toProgressMessage(progress: LiveProgress): ProgressMessage {
  return {
    job_id: progress.jobId,
    type: "progress",
    stage: progress.stage,
    progress: progress.progress,
    fps: progress.fps,
    speed: progress.speed,
    eta_seconds: progress.etaSeconds,
  };
}

function numberOrNull(value: unknown): number | null {
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}

/** Made once, however many clients it is sent to. */
const texts = new WeakMap<JobEvent | LiveProgress, string>();

function cached<Value extends JobEvent | LiveProgress>(value: Value, make: (value: Value) => unknown): string {
  let text = texts.get(value);
  if (text === undefined) {
    text = JSON.stringify(make(value));
    texts.set(value, text);
  }
  return text;
}

export const toEventText = (event: JobEvent): string => cached(event, toEventMessage);
export const toProgressText = (progress: LiveProgress): string => cached(progress, toProgressMessage);

/** Null when the message is not live progress: then it only says that the job's row has changed. */
export function parseLiveProgress(jobId: JobId, message: BusMessage): LiveProgress | null {
  const stage = STAGES.find((candidate) => candidate === message.stage);
  const progress = numberOrNull(message.progress);
  if (stage === undefined || progress === null || message.type !== undefined) return null;
  return {
    jobId,
    stage,
    progress: Math.min(100, Math.max(0, progress)),
    fps: numberOrNull(message.fps),
    speed: numberOrNull(message.speed),
    etaSeconds: numberOrNull(message.etaSeconds),
  };
}

const PROGRESS_NUMBERS = ["fps", "speed", "eta"] as const;

/** As the cache keeps it: a record of texts, without what is not known. */
export function toProgressFields({ stage, progress, fps, speed, etaSeconds }: LiveProgress): Record<string, string> {
  const known = Object.entries({ percent: progress, fps, speed, eta: etaSeconds }).filter(
    ([, value]) => value !== null,
  );
  return { stage, ...Object.fromEntries(known.map(([name, value]) => [name, String(value)])) };
}

/** Null when it is not what `toProgressFields` made. */
export function parseProgressFields(jobId: JobId, fields: Readonly<Record<string, string>>): LiveProgress | null {
  const [fps, speed, etaSeconds] = PROGRESS_NUMBERS.map((name) =>
    fields[name] === undefined ? null : Number(fields[name]),
  );
  const progress = fields.percent === undefined ? null : Number(fields.percent);
  return parseLiveProgress(jobId, { stage: fields.stage, progress, fps, speed, etaSeconds });
}

/** Live only: whoever listens gets it, nobody else ever will. */
export async function publishProgress(bus: Bus, progress: LiveProgress): Promise<void> {
  await bus.publish(channels.job(progress.jobId), { ...progress });
}

/**
 * Says that a job has new durable events, after the commit that wrote them. Listeners read them from the rows, so a
 * message that is lost, doubled or out of order costs latency only.
 */
export async function publishChange(bus: Bus, jobId: string): Promise<void> {
  await bus.publish(channels.job(jobId), { jobId });
}
