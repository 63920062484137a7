/** Job views with everything that is beside the row: outputs, live figures, links. */
import type { SqlRunner } from "../../src/database/sql.ts";
import { listOutputsOf } from "../../src/jobs/outputs.ts";
import { type JobOutput, listOutputs } from "../../src/jobs/store.ts";
import type { Job } from "../../src/jobs/types.ts";
import { baseUrl } from "../answers.ts";
import type { HttpContext } from "../context.ts";
import { toDownload } from "./downloads.ts";
import type { JobOutputView, JobView } from "./job.schema.ts";
import { liveProgress, toJobView, toOutputView } from "./job-view.ts";

export function outputViews(
  context: HttpContext,
  request: Request,
  outputs: readonly JobOutput[],
): readonly JobOutputView[] {
  const base = baseUrl(context, request);
  return outputs.map((output) => toOutputView(output, toDownload(context, output, base)));
}

export async function viewJob(context: HttpContext, request: Request, job: Job): Promise<JobView> {
  // Only a completed job has any.
  const outputs = job.status === "completed" ? await listOutputs(context.sql, job.id) : [];
  return toJobView(job, {
    baseUrl: baseUrl(context, request),
    live: await liveProgress(context, job),
    unserved: whyUnserved(context, job),
    outputs: outputViews(context, request, outputs),
  });
}

const whyUnserved = (context: HttpContext, job: Job): string | null =>
  job.status === "queued" ? context.whyUnserved(job) : null;

const newViews = new WeakMap<Job, JobView>();

/**
 * A job that was just made has nothing beside its row. The same for the same row: what is stored for a repeated request is
 * what is answered to the first.
 */
export function viewNewJob(context: HttpContext, request: Request, job: Job): JobView {
  const unserved = whyUnserved(context, job);
  const view =
    newViews.get(job) ?? toJobView(job, { baseUrl: baseUrl(context, request), live: null, outputs: [], unserved });
  newViews.set(job, view);
  return view;
}

export async function viewJobs(
  context: HttpContext,
  request: Request,
  jobs: readonly Job[],
  sql: SqlRunner,
): Promise<JobView[]> {
  const completed = jobs.filter((job) => job.status === "completed").map((job) => job.id);
  const outputs = await listOutputsOf(sql, completed);
  const base = baseUrl(context, request);
  return Promise.all(
    jobs.map(async (job) =>
      toJobView(job, {
        baseUrl: base,
        live: await liveProgress(context, job),
        unserved: whyUnserved(context, job),
        outputs: outputViews(context, request, outputs.get(job.id) ?? []),
      }),
    ),
  );
}
