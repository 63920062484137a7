/** The migrations in order, inside the binary. A file is never changed once it was released: add the next number. */
import initial from "./0001_initial.sql" with { type: "text" };
import fairQueue from "./0002_fair_queue.sql" with { type: "text" };
import access from "./0003_access.sql" with { type: "text" };
import contentKeys from "./0012_content_keys.sql" with { type: "text" };
import storageUsage from "./0015_storage_usage.sql" with { type: "text" };
import queueRank from "./0016_queue_rank.sql" with { type: "text" };
import estimates from "./0020_estimates.sql" with { type: "text" };
import uploads from "./0022_uploads.sql" with { type: "text" };
import traces from "./0023_traces.sql" with { type: "text" };
import reuse from "./0025_access.sql" with { type: "text" };
import routes from "./0026_routes.sql" with { type: "text" };
import rareTypes from "./0027_rare_types.sql" with { type: "text" };

export interface Migration {
  /** `NNNN_name`: the file's name, which orders it. */
  readonly name: string;
  readonly text: string;
}

export const MIGRATIONS: readonly Migration[] = [
  { name: "0001_initial", text: initial },
  { name: "0002_fair_queue", text: fairQueue },
  { name: "0003_access", text: access },
  { name: "0012_content_keys", text: contentKeys },
  { name: "0015_storage_usage", text: storageUsage },
  { name: "0016_queue_rank", text: queueRank },
  { name: "0020_estimates", text: estimates },
  { name: "0022_uploads", text: uploads },
  { name: "0023_traces", text: traces },
  { name: "0025_access", text: reuse },
  { name: "0026_routes", text: routes },
  { name: "0027_rare_types", text: rareTypes },
];
