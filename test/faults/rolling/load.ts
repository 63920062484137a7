/** Requests at a steady pace through one address, and which of them failed. */
import type { Api } from "../../support/api.ts";
import { INPUT } from "../chaos/world.ts";

export interface Load {
  /** Stops asking, and resolves when everything that was asked was answered. */
  end(): Promise<LoadResult>;
}

export interface LoadResult {
  readonly requests: number;
  /** In words; a request that got another answer than it should have, or none. */
  readonly failed: readonly string[];
  readonly jobs: readonly string[];
}

const EVERY_MS = 20;
/** One request of so many is a new job: no more than one worker does while the other is replaced. */
const JOB_EVERY = 25;

/** Fifty requests a second, however long each takes. */
export function startLoad(api: Api): Load {
  const [failed, jobs]: [string[], string[]] = [[], []];
  const under = new Set<Promise<void>>();
  let requests = 0;
  const expect = async (status: number, method: string, path: string, body?: object): Promise<unknown> => {
    const answer = await api.call(method, path, body);
    if (answer.status !== status) failed.push(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer.body;
  };
  const submit = async (number: number): Promise<void> => {
    const job = (await expect(201, "POST", "/convert", {
      ...{ input: INPUT, output: `rolled-${number}.mp4` },
      operations: [{ type: "transcode", video_codec: "h264", preset: "ultrafast" }],
    })) as { id?: string };
    if (job.id !== undefined) jobs.push(job.id);
  };
  const ask = async (number: number): Promise<void> => {
    if (number % JOB_EVERY === 0) return submit(number);
    const id = jobs.at(-1 - (number % 7));
    const paths = id === undefined ? ["/jobs?page_size=5"] : [`/jobs/${id}`, "/jobs?page_size=5", `/jobs/${id}/logs`];
    await expect(200, "GET", paths[number % paths.length] ?? "/jobs");
  };
  const timer = setInterval(() => {
    const number = requests++;
    const asked = ask(number)
      .catch((error: unknown) => void failed.push(`request ${number}: ${error}`))
      .finally(() => under.delete(asked));
    under.add(asked);
  }, EVERY_MS);
  return {
    async end() {
      clearInterval(timer);
      await Promise.all(under);
      return { requests, failed, jobs };
    },
  };
}
