/** Outputs and their rows, for a command: a database and a storage without a server around them. */
import type { Config } from "../config/config.ts";
import { type OutputFinding, type OutputState, verifyOutputs } from "../jobs/verify-outputs.ts";
import { appendAudit } from "../security/audit.ts";
import { makeUrlGuard } from "../security/outbound/url-guard.ts";
import type { Logger } from "../telemetry/logger.ts";
import { makeMetrics } from "../telemetry/metrics.ts";
import { openMigratedDatabase } from "./database.ts";
import { openStorage } from "./storage.ts";

const ACTOR = "cli";

export interface OutputsRun {
  readonly repair: boolean;
  readonly signal: AbortSignal;
  onFinding(finding: OutputFinding): void;
}

export async function verifyAllOutputs(
  config: Config,
  logger: Logger,
  { repair, signal, onFinding }: OutputsRun,
): Promise<Readonly<Record<OutputState, number>>> {
  await using opened = new AsyncDisposableStack();
  const sql = await openMigratedDatabase(config, logger);
  opened.defer(() => sql.close());
  const guard = makeUrlGuard({ allowNetworks: config.storage.allowPrivateNetworks });
  const storage = await openStorage({ storage: config.storage, guard, metrics: makeMetrics() });
  opened.defer(() => storage.close());
  const counts = await verifyOutputs({ sql, storage, signal, actor: ACTOR }, { repair, onFinding });
  if (repair) {
    const entry = { actor: ACTOR, action: "outputs.repaired", target: null, address: null, requestId: null };
    await sql.transaction((tx) => appendAudit(tx, { ...entry, data: { ...counts } }));
  }
  return counts;
}
