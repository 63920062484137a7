/** Who is calling: a key's properties, as far as a request needs them. */
import { RendiffError } from "../errors.ts";
import type { JobId, KeyId } from "../jobs/types.ts";
import { type Role, roleAllows } from "./roles.ts";

export interface Principal {
  readonly keyId: KeyId;
  readonly name: string;
  readonly role: Role;
  /** Null allows all. */
  readonly allowedOperations: readonly string[] | null;
  readonly readBackends: readonly string[] | null;
  readonly writeBackends: readonly string[] | null;
  /** Requests a minute for each endpoint; null takes the deployment's default. */
  readonly rateLimitPerMinute: number | null;
  /** Minutes of output media in a calendar month; null has no limit. */
  readonly monthlyLimitMinutes: number | null;
  readonly expiresAt: Date | null;
  /** Set for a token that was made for one job: nothing else is there for its bearer. */
  readonly onlyJobId?: JobId;
}

/**
 * Whose jobs a caller reaches by id: its own; an administrator any (null). Lists are always the caller's own, so that
 * an administrator's list is not everybody's.
 */
export function visibleKey(principal: Principal): KeyId | null {
  // Who made a token for one job could see it; `maySeeJob` leaves nothing else.
  return principal.role === "admin" || principal.onlyJobId !== undefined ? null : principal.keyId;
}

/** A token for one job shows nothing of the batch it is in. */
export function maySeeBatches({ onlyJobId }: Principal): boolean {
  return onlyJobId === undefined;
}

export function maySeeJob({ onlyJobId }: Principal, jobId: string): boolean {
  return onlyJobId === undefined || onlyJobId === jobId.toLowerCase();
}

function allowed(list: readonly string[] | null, name: string): boolean {
  return list === null || list.includes(name);
}

function refuse(message: string, path: string): never {
  throw new RendiffError({
    kind: "auth.forbidden",
    publicMessage: message,
    details: [{ path, message: "is not allowed for this key" }],
  });
}

export function requireRole(principal: Principal, needed: Role): void {
  if (roleAllows(principal.role, needed)) return;
  throw new RendiffError({
    kind: "auth.forbidden",
    publicMessage: `This key's role is ${principal.role}; this call needs the role ${needed}.`,
  });
}

export function requireOperation(principal: Principal, type: string, path: string): void {
  if (!allowed(principal.allowedOperations, type)) refuse(`This key may not use the operation ${type}.`, path);
}

export function requireReadable(principal: Principal, backend: string, path: string): void {
  if (!allowed(principal.readBackends, backend)) refuse(`This key may not read from the storage ${backend}.`, path);
}

export function requireWritable(principal: Principal, backend: string, path: string): void {
  if (!allowed(principal.writeBackends, backend)) refuse(`This key may not write to the storage ${backend}.`, path);
}
