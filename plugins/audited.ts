/** Audit entries of requests: who, from where, under which request id. */
import type { SqlRunner } from "../src/database/sql.ts";
import { type AuditEntry, appendAudit } from "../src/security/audit.ts";
import type { HttpContext } from "./context.ts";
import { principalOf, stateOf } from "./state.ts";

/** Call it in the transaction that does what it tells of. */
export async function audit(
  context: HttpContext,
  request: Request,
  tx: SqlRunner,
  { action, target, data = {} }: Pick<AuditEntry, "action" | "target"> & Partial<Pick<AuditEntry, "data">>,
): Promise<void> {
  const { address, requestId } = stateOf(request);
  const row = await appendAudit(tx, { actor: principalOf(request).keyId, action, target, address, requestId, data });
  context.logger.info(
    { actor: row.actor, action, target, address, request_id: requestId, sha256: row.sha256 },
    "audit",
  );
}
