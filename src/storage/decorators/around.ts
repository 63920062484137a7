/** A backend whose every call goes through one function: what decorators are made of. */
import type { StorageBackend } from "../port.ts";

export type Operation =
  | "stat"
  | "open"
  | "localPath"
  | "stage"
  | "fill"
  | "fillFrom"
  | "publish"
  | "settle"
  | "abort"
  | "delete"
  | "list"
  | "presign";

/** `work` may be called again, and with a signal of the decorator's own. */
export type Around = <T>(
  operation: Operation,
  signal: AbortSignal | undefined,
  work: (signal: AbortSignal | undefined) => Promise<T>,
) => Promise<T>;

/** `signal` where a call has options: absent is not undefined. */
const withSignal = <T extends object>(options: T, signal: AbortSignal | undefined): T =>
  signal === undefined ? options : { ...options, signal };

/** As long as a file is being written: nobody waits for it in between, and what fails is tried again by `fill`. */
const aheadOf =
  (backend: StorageBackend): NonNullable<StorageBackend["sendAhead"]> =>
  (staged, path, options) =>
    backend.sendAhead?.(staged, path, options) ?? Promise.reject(new Error("Nothing can be sent ahead."));

/** As `fill` without a deadline of its own; what fails fails the attempt, as there. */
const prepareOf =
  (backend: StorageBackend): NonNullable<StorageBackend["prepare"]> =>
  (path, signal) =>
    backend.prepare?.(path, signal) ?? Promise.resolve(null);

const fillFromOf =
  (backend: StorageBackend, around: Around): NonNullable<StorageBackend["fillFrom"]> =>
  (staged, source, options) =>
    around(
      "fillFrom",
      options.signal,
      (own) =>
        backend.fillFrom?.(staged, source, withSignal(options, own)) ?? Promise.reject(new Error("It copies nothing.")),
    );

export function aroundCalls(backend: StorageBackend, around: Around): StorageBackend {
  return {
    name: backend.name,
    properties: backend.properties,
    ...(backend.checkKey === undefined ? {} : { checkKey: (key: string) => backend.checkKey?.(key) }),
    stat: (key, signal) => around("stat", signal, (own) => backend.stat(key, own)),
    open: (key, options = {}) => around("open", options.signal, (own) => backend.open(key, withSignal(options, own))),
    localPath: (key) => around("localPath", undefined, () => backend.localPath(key)),
    stage: (key, owner, signal, mediaType) =>
      around("stage", signal, (own) => backend.stage(key, owner, own, mediaType)),
    ...(backend.prepare === undefined ? {} : { prepare: prepareOf(backend) }),
    ...(backend.sendAhead === undefined ? {} : { sendAhead: aheadOf(backend) }),
    ...(backend.fillFrom === undefined ? {} : { fillFrom: fillFromOf(backend, around) }),
    fill: (staged, path, options) =>
      around("fill", options.signal, (own) => backend.fill(staged, path, withSignal(options, own))),
    publish: (staged, options) =>
      around("publish", options.signal, (own) => backend.publish(staged, withSignal(options, own))),
    settle: (staged, signal) => around("settle", signal, (own) => backend.settle(staged, own)),
    abort: (staged, signal) => around("abort", signal, (own) => backend.abort(staged, own)),
    delete: (key, identity, signal) => around("delete", signal, (own) => backend.delete(key, identity, own)),
    list: (prefix, limit, after) => around("list", undefined, () => backend.list(prefix, limit, after)),
    presign: (key, options) => around("presign", undefined, () => backend.presign(key, options)),
    freeBytes: () => backend.freeBytes(),
    close: () => backend.close(),
  };
}
