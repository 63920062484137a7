/**
 * What the front end needs from the rest. `boot` builds it; plugins get it whole and each takes what it uses.
 */
import type { Config } from "../src/config/config.ts";
import type { Coordination } from "../src/coordination/ports.ts";
import type { Sql } from "../src/database/sql.ts";
import type { EventHub } from "../src/events/hub.ts";
import type { ConvertSpec } from "../src/jobs/convert.schema.ts";
import type { InsertTogether } from "../src/jobs/insert-together.ts";
import type { Kind } from "../src/jobs/kinds.ts";
import type { Job } from "../src/jobs/types.ts";
import type { Estimate } from "../src/media/measure/estimate.ts";
import type { Capabilities, MediaInfo, Plan } from "../src/media/types.ts";
import type { AuditTally } from "../src/security/audit-tally.ts";
import type { Authenticator } from "../src/security/authenticator.ts";
import type { UrlGuard } from "../src/security/outbound/url-guard.ts";
import type { ObjectRef, StorageRegistry } from "../src/storage/port.ts";
import type { Logger } from "../src/telemetry/logger.ts";
import type { Metrics } from "../src/telemetry/metrics.ts";
import type { Tracer } from "../src/telemetry/tracer.ts";
import type { Uploads } from "../src/uploads/uploads.ts";
import type { AddressBlocks } from "./address-blocks.ts";
import type { Connections } from "./connections.ts";

/** Answers that need FFmpeg: a request to a worker, with a deadline that the signal brings. */
export interface MediaService {
  probe(ref: ObjectRef, signal: AbortSignal): Promise<MediaInfo>;
  plan(spec: ConvertSpec, signal: AbortSignal): Promise<Plan>;
  /** What a conversion would take, from encodes of parts of its input. */
  estimate(spec: ConvertSpec, signal: AbortSignal): Promise<Estimate & { readonly warnings: readonly string[] }>;
}

/** What one replica says of itself. */
export interface ReplicaView {
  readonly id: string;
  readonly role: string;
  readonly version: string;
  /** Of its row in `workers`; null where no jobs run, and before it has one. */
  readonly workerId: string | null;
  /** Its actors by their ids in it, and the state each is in. */
  readonly actors: readonly { readonly id: string; readonly state: string }[];
}

export interface HealthCheck {
  readonly name: string;
  /** Resolves to what is remarkable (null: nothing) and rejects when the thing does not work. */
  run(signal: AbortSignal): Promise<string | null>;
  /** Without it nothing works: its failure makes the whole unhealthy, another's only degraded. */
  readonly vital: boolean;
}

export interface Readiness {
  readonly ready: boolean;
  /** Why not, for people. */
  readonly reasons: readonly string[];
}

/** What the caller of `makeApp` gives. */
export interface HttpServices {
  readonly config: Pick<Config, "http" | "keys" | "limits" | "queue">;
  readonly sql: Sql;
  /** A replica for lists, or the same. */
  readonly readSql: Sql;
  readonly coordination: Coordination;
  readonly storage: StorageRegistry;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly tracer: Tracer;
  readonly version: string;
  /** What any worker was last known to do; null before the first one said so. */
  capabilities(): Capabilities | null;
  readonly media: MediaService;
  readonly uploads: Uploads;
  /** What the replicas that answer within a second say of themselves, this one among them. Waits for these workers. */
  askReplicas(workerIds: readonly string[]): Promise<readonly ReplicaView[]>;
  /** The one door to URLs that clients name. */
  readonly urlGuard: UrlGuard;
  /** The kinds of workers that are known. */
  kinds(): readonly Kind[];
  /** Why no worker that lives would take such a job; null when one would, or that is not known. */
  whyUnserved(job: Pick<Job, "type" | "priority" | "unfit">): string | null;
  /** A worker answers about its health and gives its metrics, and nothing else. */
  readonly statusOnly: boolean;
  /** Of tokens and signed URLs. */
  readonly signingSecret: string;
  readiness(): Readiness;
  readonly healthChecks: readonly HealthCheck[];
}

/** What the front end itself keeps beside that, one per app. */
export interface HttpContext extends HttpServices {
  readonly addressBlocks: AddressBlocks;
  readonly authenticator: Authenticator;
  readonly insertTogether: InsertTogether;
  readonly audit: AuditTally;
  readonly events: EventHub;
  readonly connections: Connections;
}
