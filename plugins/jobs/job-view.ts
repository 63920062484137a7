/** A job's row as clients read it. */
import { names } from "../../src/coordination/ports.ts";
import { parseProgressFields } from "../../src/events/messages.ts";
import type { ConvertSpec } from "../../src/jobs/convert.schema.ts";
import type { JobOutput } from "../../src/jobs/store.ts";
import type { Job, JobId, LiveProgress } from "../../src/jobs/types.ts";
import type { HttpContext } from "../context.ts";
import { API_PREFIX } from "../route-rule.ts";
import { toSnakeCase } from "../snake-case.ts";
import type { JobOutputView, JobView } from "./job.schema.ts";

export interface Download {
  readonly url: string;
  readonly expiresAt: Date;
}

export interface JobViewParts {
  readonly baseUrl: string;
  readonly live: LiveProgress | null;
  /** Why nobody alive would take it. */
  readonly unserved?: string | null;
  readonly outputs: readonly JobOutputView[];
}

const iso = (date: Date): string => date.toISOString();
const isoOrNull = (date: Date | null): string | null => (date === null ? null : date.toISOString());

export function toOutputView(output: JobOutput, download: Download | null): JobOutputView {
  return {
    ordinal: output.ordinal,
    role: output.role,
    uri: output.uri,
    bytes: output.sizeBytes,
    sha256: output.sha256,
    media_type: output.mediaType,
    media: toSnakeCase(output.media, ["tags"]),
    created_at: iso(output.createdAt),
    deleted_at: isoOrNull(output.deletedAt),
    download_url: download?.url ?? null,
    download_expires_at: isoOrNull(download?.expiresAt ?? null),
  };
}

function toLinks(jobId: JobId, baseUrl: string): JobView["links"] {
  const self = `${baseUrl}${API_PREFIX}/jobs/${jobId}`;
  return {
    self,
    events: `${self}/events`,
    ws: `${self.replace(/^http/, "ws")}/ws`,
    logs: `${self}/logs`,
    outputs: `${self}/outputs`,
    cancel: self,
  };
}

/** Live figures count only while the row says that the job runs: what the cache has may be of an earlier attempt. */
export function toJobView(job: Job, { baseUrl, live, outputs, unserved = null }: JobViewParts): JobView {
  const spec = job.spec as ConvertSpec;
  const now = job.status === "processing" ? live : null;
  return {
    id: job.id,
    type: job.type,
    status: job.status,
    stage: job.stage,
    progress: job.status === "completed" ? 100 : Math.max(now?.progress ?? 0, job.progress),
    fps: now?.fps ?? null,
    speed: now?.speed ?? null,
    eta_seconds: now?.etaSeconds ?? null,
    priority: job.priority,
    attempt: job.attempt,
    worker_id: job.workerId,
    input_path: spec.inputs[0] ?? "",
    output_path: spec.output,
    operations: [...spec.operations],
    options: { ...spec.options },
    metadata: { ...job.metadata },
    created_at: iso(job.createdAt),
    started_at: isoOrNull(job.startedAt),
    completed_at: isoOrNull(job.completedAt),
    run_at: iso(job.runAt),
    outputs: [...outputs],
    metrics: { ...job.metrics },
    results: job.results ?? null,
    error: job.error === null ? null : { ...job.error },
    warnings: unserved === null ? [...job.warnings] : [...job.warnings, unserved],
    webhook_url: job.webhookUrl,
    batch_id: job.batchId,
    retry_of: job.retryOf,
    links: toLinks(job.id, baseUrl),
  };
}

/** Null when the job does not run, or nothing is known of it right now. */
export async function liveProgress(context: HttpContext, job: Job): Promise<LiveProgress | null> {
  if (job.status !== "processing") return null;
  try {
    const fields = await context.coordination.cache.getFields(names.progress(job.id));
    return fields === null ? null : parseProgressFields(job.id, fields);
  } catch (error) {
    // Nobody misses a figure that is old in a second; the job itself is in the row.
    context.logger.debug({ err: error }, "live progress could not be read");
    return null;
  }
}
