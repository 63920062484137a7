/** A Postgres as one runs it: what is committed is on the disk, which the tests' own does without. */
import { join } from "node:path";
import { startPostgres, type TestServer } from "../../test/support/servers.ts";

export const startDurablePostgres = (folder: string): Promise<TestServer> =>
  startPostgres(join(folder, "postgres"), {
    fsync: "on",
    synchronous_commit: "on",
    full_page_writes: "on",
    track_commit_timestamp: "on",
    shared_preload_libraries: "pg_stat_statements",
    shared_buffers: "256MB",
  });
