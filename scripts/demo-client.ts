/** What the demo needs of the API, through HTTP like any other client. */

export interface Progress {
  readonly stage: string;
  /** 0 to 100. */
  readonly progress: number;
  readonly fps: number | null;
  readonly speed: number | null;
  readonly eta_seconds: number | null;
}

export interface Job {
  readonly id: string;
  readonly status: string;
  readonly error: { readonly message: string; readonly hint: string | null } | null;
  readonly warnings: readonly string[];
}

export interface Stream {
  readonly kind: string;
  readonly codec: string;
  readonly width?: number;
  readonly height?: number;
  readonly average_fps?: number | null;
  readonly channels?: number;
  readonly sample_rate?: number;
}

export interface Output {
  readonly uri: string;
  readonly bytes: number;
  readonly sha256: string;
  readonly media: { readonly container: string; readonly duration_seconds: number | null; readonly streams: Stream[] };
  readonly download_url: string | null;
}

export interface PlanStep {
  readonly argv: readonly string[];
  readonly writes: readonly string[];
}

export interface ServerEvent {
  readonly type: string;
  readonly data: unknown;
}

/** Server-sent events as they arrive; blocks of `event:` and `data:` lines, comments are heartbeats. */
export async function* readEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<ServerEvent> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const bytes of body) {
    text += decoder.decode(bytes, { stream: true });
    for (let end = text.indexOf("\n\n"); end !== -1; end = text.indexOf("\n\n")) {
      const lines = text.slice(0, end).split("\n");
      text = text.slice(end + 2);
      const field = (name: string) => lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
      const data = field("data");
      if (data !== undefined) yield { type: field("event") ?? "message", data: JSON.parse(data) };
    }
  }
}

export interface Client {
  plan(body: object): Promise<readonly PlanStep[]>;
  convert(body: object): Promise<Job>;
  job(id: string): Promise<Job>;
  outputs(id: string): Promise<readonly Output[]>;
  events(id: string): Promise<AsyncGenerator<ServerEvent>>;
}

export function makeClient(url: string, key: string, signal: AbortSignal): Client {
  const call = async (path: string, body?: object): Promise<Response> => {
    const response = await fetch(`${url}/api/v1${path}`, {
      method: body === undefined ? "GET" : "POST",
      headers: { "x-api-key": key, ...(body === undefined ? {} : { "content-type": "application/json" }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal,
    });
    if (!response.ok) throw new Error(`${path} answered ${response.status}: ${await response.text()}`);
    return response;
  };
  const json = async <T>(path: string, body?: object): Promise<T> => (await (await call(path, body)).json()) as T;
  return {
    plan: async (body) => (await json<{ steps: PlanStep[] }>("/convert?dry_run=true", body)).steps,
    convert: (body) => json("/convert", body),
    job: (id) => json(`/jobs/${id}`),
    outputs: async (id) => (await json<{ items: Output[] }>(`/jobs/${id}/outputs`)).items,
    async events(id) {
      const { body } = await call(`/jobs/${id}/events`);
      if (body === null) throw new Error("The event stream has no body.");
      return readEvents(body);
    },
  };
}
