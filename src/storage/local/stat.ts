import type { BigIntStats } from "node:fs";
import type { ObjectStat } from "../port.ts";

/** A rename keeps all three; new bytes change at least one. */
export function identityOf({ ino, size, mtimeNs }: BigIntStats): string {
  return `${ino}:${size}:${mtimeNs}`;
}

export function toObjectStat(stat: BigIntStats): ObjectStat {
  return {
    sizeBytes: Number(stat.size),
    modifiedAt: new Date(Number(stat.mtimeMs)),
    identity: identityOf(stat),
  };
}
