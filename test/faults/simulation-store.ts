/**
 * An object store as the storage port describes it, in memory: staged bytes that nobody sees, and publishing that consumes
 * them in the act. Shared by the named cases and the simulation.
 */
import type { SettledState, StagedBytes, StagedObject } from "../../src/storage/port.ts";

export interface VisibleObject {
  readonly jobId: string;
  readonly leaseToken: number;
  readonly identity: string;
}

export class MemoryStore {
  readonly staged = new Map<string, StagedBytes>();
  readonly visible = new Map<string, VisibleObject>();
  #versions = 0;

  /** `consuming: false` is the store that the protocol rules out: it copies and leaves the source. */
  constructor(readonly consuming = true) {}

  stage(key: string, owner: { jobId: string; leaseToken: number }): StagedBytes {
    this.#versions += 1;
    const staged: StagedBytes = {
      backend: "local",
      key,
      ...owner,
      handle: `upload-${this.#versions}`,
      sizeBytes: 1,
      sha256: "0".repeat(64),
      fingerprint: `${owner.jobId}:${owner.leaseToken}:${key}`,
    };
    this.staged.set(staged.handle, staged);
    return staged;
  }

  publish(staged: StagedBytes): { outcome: "published"; identity: string } | { outcome: "lost" } {
    if (this.staged.has(staged.handle)) {
      this.#versions += 1;
      const { jobId, leaseToken } = staged;
      this.visible.set(staged.key, { jobId, leaseToken, identity: `version-${this.#versions}` });
      if (this.consuming) this.staged.delete(staged.handle);
    }
    const settled = this.settle(staged);
    return settled.state === "published" ? { outcome: "published", identity: settled.identity } : { outcome: "lost" };
  }

  settle(staged: StagedBytes): SettledState {
    const object = this.visible.get(staged.key);
    if (object !== undefined && object.jobId === staged.jobId && object.leaseToken === staged.leaseToken) {
      return { state: "published", identity: object.identity };
    }
    return { state: this.staged.has(staged.handle) ? "staged" : "lost" };
  }

  abort(staged: Pick<StagedObject, "handle">): void {
    this.staged.delete(staged.handle);
  }

  /** What a sweeper does with an intent whose handle was never recorded: the store can tell whose an upload is. */
  abortOwned(owner: { jobId: string; leaseToken: number; key: string }): void {
    for (const [handle, staged] of this.staged) {
      if (staged.jobId === owner.jobId && staged.leaseToken === owner.leaseToken && staged.key === owner.key) {
        this.staged.delete(handle);
      }
    }
  }

  /** Deletes the very object with this identity; `careless` deletes whatever is there. */
  delete(key: string, identity: string, careless = false): boolean {
    const object = this.visible.get(key);
    if (object === undefined || (object.identity !== identity && !careless)) return false;
    return this.visible.delete(key);
  }
}
