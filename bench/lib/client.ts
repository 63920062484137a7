/** A client of the API, such as anyone would write. */
import { ADMIN_KEY, type Subject } from "./subject.ts";

export interface JobAnswer {
  readonly id: string;
  readonly status: string;
  readonly stage: string | null;
  readonly error: { readonly kind: string; readonly message: string } | null;
  readonly outputs: readonly { readonly uri: string; readonly sha256: string }[];
}

interface PlanAnswer {
  readonly steps: readonly { readonly id: string; readonly argv: readonly string[] }[];
}

const HEADERS = { "x-api-key": ADMIN_KEY, "content-type": "application/json" };
const FINAL = /^event: ?job\.(completed|failed|cancelled)$/m;

async function call<T>(subject: Subject, method: string, path: string, body?: unknown): Promise<T> {
  const init = body === undefined ? {} : { body: JSON.stringify(body) };
  const response = await fetch(`${subject.url}/api/v1${path}`, { method, headers: HEADERS, ...init });
  const answer = await response.json();
  if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}: ${JSON.stringify(answer)}`);
  return answer as T;
}

/** The arguments of the only step that the plan has. */
export async function dryRun(subject: Subject, body: unknown): Promise<readonly string[]> {
  const { steps } = await call<PlanAnswer>(subject, "POST", "/convert?dry_run=true", body);
  const [step] = steps;
  if (step === undefined || steps.length !== 1) throw new Error(`The plan has ${steps.length} steps, not one.`);
  return step.argv;
}

export const createJob = (subject: Subject, body: unknown): Promise<JobAnswer> =>
  call<JobAnswer>(subject, "POST", "/convert", body);

export const getJob = (subject: Subject, id: string): Promise<JobAnswer> =>
  call<JobAnswer>(subject, "GET", `/jobs/${id}`);

export const cancelJob = (subject: Subject, id: string): Promise<JobAnswer> =>
  call<JobAnswer>(subject, "DELETE", `/jobs/${id}`);

/** Resolves when the job's last event arrives, with its name. */
export async function untilFinal(subject: Subject, id: string): Promise<string> {
  const stop = new AbortController();
  const events = await fetch(`${subject.url}/api/v1/jobs/${id}/events`, { headers: HEADERS, signal: stop.signal });
  if (!events.ok || events.body === null) throw new Error(`The events of a job answered ${events.status}.`);
  const decoder = new TextDecoder();
  let text = "";
  for await (const bytes of events.body) {
    text += decoder.decode(bytes, { stream: true });
    const outcome = FINAL.exec(text)?.[1];
    if (outcome === undefined) continue;
    stop.abort();
    return outcome;
  }
  throw new Error(`The events of a job ended without an outcome:\n${text}`);
}

/** A job from its submission to its completion event. Throws when it did not complete. */
export async function completeJob(subject: Subject, body: unknown): Promise<{ id: string; wallMs: number }> {
  const startedAt = performance.now();
  const { id } = await createJob(subject, body);
  const outcome = await untilFinal(subject, id);
  const wallMs = performance.now() - startedAt;
  if (outcome !== "completed") {
    throw new Error(`A job ${outcome}: ${JSON.stringify((await getJob(subject, id)).error)}`);
  }
  return { id, wallMs };
}
