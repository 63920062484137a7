/** The API as a client uses it. */
import { until, within } from "./until.ts";

export interface Failure {
  readonly kind: string;
  readonly message: string;
  readonly retryable: boolean;
  readonly evidence: string | null;
  readonly hint: string | null;
}

export interface Stream {
  readonly kind: string;
  readonly codec: string;
  readonly width?: number;
  readonly height?: number;
  readonly channels?: number;
}

export interface Output {
  readonly ordinal: number;
  readonly role: string;
  readonly uri: string;
  readonly bytes: number;
  readonly sha256: string;
  readonly media_type: string;
  readonly media: { readonly container: string; readonly duration_seconds: number | null; readonly streams: Stream[] };
  readonly download_url: string | null;
}

export interface Job {
  readonly id: string;
  readonly type: string;
  readonly status: "queued" | "processing" | "completed" | "failed" | "cancelled";
  readonly stage: string | null;
  readonly progress: number;
  readonly priority: string;
  readonly attempt: number;
  readonly input_path: string;
  readonly output_path: string;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly outputs: readonly Output[];
  readonly error: Failure | null;
  readonly warnings: readonly string[];
  readonly retry_of: string | null;
  readonly links: Readonly<Record<"self" | "events" | "ws" | "logs" | "outputs" | "cancel", string>>;
}

export interface JobEvent {
  readonly job_id: string;
  readonly seq: number;
  readonly type: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** An event of a stream; live progress has no id. */
export interface StreamEvent {
  readonly id: number | null;
  readonly type: string;
  readonly data: Readonly<Record<string, unknown>>;
}

export interface ApiError {
  readonly error: {
    readonly code: string;
    readonly message: string;
    readonly details?: readonly { readonly path: string; readonly message: string }[];
    readonly request_id: string;
  };
}

export interface Plan {
  readonly steps: readonly { readonly argv: readonly string[]; readonly writes: readonly string[] }[];
  readonly outputs: readonly { readonly role: string; readonly uri: string }[];
  readonly copies_only: boolean;
}

export interface Answer<T> {
  readonly status: number;
  readonly headers: Headers;
  readonly body: T;
}

const FINAL = new Set(["completed", "failed", "cancelled"]);
export const isFinal = ({ status }: Job): boolean => FINAL.has(status);
export const isFinalEvent = ({ type }: { readonly type: string }): boolean => FINAL.has(type.replace("job.", ""));
const CALL_TIMEOUT_MS = 30_000;

export interface Api {
  readonly url: string;
  readonly key: string;
  call<T>(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer<T>>;
  /** A job that has to be accepted. */
  convert(body: object, headers?: Record<string, string>): Promise<Job>;
  job(id: string): Promise<Job>;
  outputs(id: string): Promise<readonly Output[]>;
  logs(id: string): Promise<readonly JobEvent[]>;
  /** Waits for its final status. */
  ended(id: string, timeoutMs?: number): Promise<Job>;
  /** Submits, waits, and fails with the job's error unless it completed. */
  completed(body: object, timeoutMs?: number): Promise<Job>;
  /** Submits, waits, and fails unless it failed. */
  failed(body: object): Promise<Failure>;
  events(id: string, after?: number): Promise<EventReader>;
}

export interface EventReader extends AsyncDisposable {
  /** The next event, null at the end. */
  next(): Promise<StreamEvent | null>;
  /** All until the stream ends by itself. */
  rest(timeoutMs?: number): Promise<StreamEvent[]>;
}

function parseBlock(block: string): StreamEvent | null {
  const fields = new Map<string, string>();
  for (const line of block.split("\n")) {
    const colon = line.indexOf(": ");
    if (colon > 0) fields.set(line.slice(0, colon), line.slice(colon + 2));
  }
  const data = fields.get("data");
  if (data === undefined) return null;
  const id = fields.get("id");
  return { id: id === undefined ? null : Number(id), type: fields.get("event") ?? "message", data: JSON.parse(data) };
}

async function* parseEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<StreamEvent> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const bytes of body) {
    text += decoder.decode(bytes, { stream: true });
    for (let end = text.indexOf("\n\n"); end !== -1; end = text.indexOf("\n\n")) {
      const event = parseBlock(text.slice(0, end));
      text = text.slice(end + 2);
      if (event !== null) yield event;
    }
  }
}

function readEvents(body: ReadableStream<Uint8Array>, abort: AbortController): EventReader {
  const source = parseEvents(body);
  const next = async (): Promise<StreamEvent | null> => {
    const { value, done } = await within(source.next(), CALL_TIMEOUT_MS, "the next event");
    return done === true ? null : value;
  };
  const all = async (): Promise<StreamEvent[]> => {
    const events: StreamEvent[] = [];
    for (let event = await next(); event !== null; event = await next()) events.push(event);
    return events;
  };
  return {
    next,
    rest: (timeoutMs = 60_000) => within(all(), timeoutMs, "the stream to end"),
    async [Symbol.asyncDispose]() {
      abort.abort();
    },
  };
}

/** `tls.ca`: the certificate that an https `url` is trusted by. */
export function makeApi(url: string, key: string, tls?: { readonly ca: string }): Api {
  const trust = tls === undefined ? {} : { tls };
  async function call<T>(
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<Answer<T>> {
    const response = await fetch(path.startsWith("http") ? path : `${url}/api/v1${path}`, {
      method,
      headers: { "x-api-key": key, ...(body === undefined ? {} : { "content-type": "application/json" }), ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(CALL_TIMEOUT_MS),
      ...trust,
    });
    const text = await response.text();
    const json = response.headers.get("content-type")?.includes("json") === true;
    return { status: response.status, headers: response.headers, body: (json ? JSON.parse(text) : text) as T };
  }
  async function expecting<T>(status: number, method: string, path: string, body?: unknown, headers = {}): Promise<T> {
    const answer = await call<T>(method, path, body, headers);
    if (answer.status !== status) {
      throw new Error(`${method} ${path} answered ${answer.status}: ${JSON.stringify(answer.body)}`);
    }
    return answer.body;
  }
  const job = (id: string) => expecting<Job>(200, "GET", `/jobs/${id}`);
  const convert = (body: object, headers?: Record<string, string>) =>
    expecting<Job>(201, "POST", "/convert", body, headers);
  const ended = async (id: string, timeoutMs = 60_000): Promise<Job> =>
    await until(
      async () => {
        const now = await job(id);
        return isFinal(now) && now;
      },
      { timeoutMs, intervalMs: 25, what: `job ${id} to end` },
    );
  return {
    ...{ url, key, call, convert, job, ended },
    outputs: async (id) => (await expecting<{ items: Output[] }>(200, "GET", `/jobs/${id}/outputs`)).items,
    logs: async (id) => (await expecting<{ items: JobEvent[] }>(200, "GET", `/jobs/${id}/logs?limit=1000`)).items,
    async completed(body, timeoutMs) {
      const done = await ended((await convert(body)).id, timeoutMs);
      if (done.status !== "completed") throw new Error(`The job ${done.status}: ${JSON.stringify(done.error)}`);
      return done;
    },
    async failed(body) {
      const done = await ended((await convert(body)).id);
      if (done.status !== "failed" || done.error === null) throw new Error(`The job ${done.status}.`);
      return done.error;
    },
    async events(id, after) {
      const abort = new AbortController();
      const headers: Record<string, string> = { "x-api-key": key };
      if (after !== undefined) headers["last-event-id"] = `${after}`;
      const response = await fetch(`${url}/api/v1/jobs/${id}/events`, { headers, signal: abort.signal });
      if (!response.ok || response.body === null) throw new Error(`events answered ${response.status}`);
      return readEvents(response.body, abort);
    },
  };
}

export interface ProbedStream {
  readonly codec_type: string;
  readonly codec_name: string;
  readonly width?: number;
  readonly height?: number;
  readonly channels?: number;
  readonly pix_fmt?: string;
  readonly nb_read_packets?: string;
  readonly side_data_list?: readonly Readonly<Record<string, unknown>>[];
}

export interface Probed {
  readonly streams: readonly ProbedStream[];
  readonly format: { readonly format_name: string; readonly duration?: string; readonly size: string };
}
