import { describe, expect, test } from "bun:test";
import { RendiffError } from "../../errors.ts";
import type { ObjectStat, OpenOptions, StorageBackend } from "../port.ts";
import { unavailable } from "../remote/errors.ts";
import { DEADLINES, withDeadlines } from "./deadline.ts";
import { RETRIES, withRetries } from "./retry.ts";

const WHOLE = new TextEncoder().encode("0123456789");
const STAT: ObjectStat = { sizeBytes: WHOLE.length, modifiedAt: new Date(0), identity: "one" };
const QUICK = { ...RETRIES, baseMs: 0, capMs: 0 };

type Open = (options: OpenOptions, call: number) => Promise<ReadableStream<Uint8Array>>;

/** A backend that can only be read, and remembers what it was asked. */
function readable(open: Open, stat: ObjectStat = STAT) {
  const asked: OpenOptions[] = [];
  const backend = {
    name: "store",
    open: async (_key: string, options: OpenOptions = {}) => ({
      stat,
      stream: await open(options, asked.push(options)),
    }),
  } as unknown as StorageBackend;
  return { backend, asked };
}

/** The asked bytes, of which only `most` come before it breaks off. */
const streamOf = ({ startByte = 0, endByte = WHOLE.length }: OpenOptions, most = WHOLE.length) => {
  const bytes = WHOLE.slice(startByte, Math.min(endByte, startByte + most));
  let given = false;
  return new ReadableStream<Uint8Array>({
    pull(controller) {
      if (!given && bytes.length > 0) controller.enqueue(bytes);
      else if (startByte + bytes.length < endByte) controller.error(unavailable("key"));
      else controller.close();
      given = true;
    },
  });
};

const silent = (onCancel: () => void) =>
  new ReadableStream<Uint8Array>({ cancel: onCancel, pull: () => new Promise(() => {}) }, { highWaterMark: 0 });

const textOf = async (backend: StorageBackend, options: OpenOptions = {}): Promise<string> =>
  await new Response((await backend.open("key", options)).stream).text();

describe("a stream that breaks off", () => {
  test("goes on where it was, in the object that was opened and no further than was asked for", async () => {
    const { backend, asked } = readable(async (options) => streamOf(options, 3));
    expect(await textOf(withRetries(backend, QUICK), { startByte: 1, endByte: 9 })).toBe("12345678");
    expect(asked.slice(1)).toMatchObject([
      { startByte: 4, endByte: 9, ifIdentity: "one" },
      { startByte: 7, endByte: 9, ifIdentity: "one" },
    ]);
  });

  test("is given up after tries without a byte in between", async () => {
    const { backend, asked } = readable(async (options) => streamOf(options, asked.length === 1 ? 3 : 0));
    await expect(textOf(withRetries(backend, QUICK))).rejects.toMatchObject({ kind: "storage.unavailable" });
    expect(asked.length).toBe(QUICK.tries);
  });

  test("fails at once where each try would begin at the first byte again", async () => {
    const { backend, asked } = readable(async (options) => streamOf(options, 3), { ...STAT, ranges: false });
    await expect(textOf(withRetries(backend, QUICK))).rejects.toMatchObject({ kind: "storage.unavailable" });
    expect(asked.length).toBe(1);
  });

  test("is not opened anew for a reader that is gone", async () => {
    const opening = Promise.withResolvers<AbortSignal>();
    const { backend } = readable(async (options, call) => {
      if (call === 1) return streamOf(options, 3);
      if (options.signal !== undefined) opening.resolve(options.signal);
      return new Promise(() => {});
    });
    const reader = (await withRetries(backend, QUICK).open("key")).stream.getReader();
    await reader.read();
    const waiting = reader.read();
    const signal = await opening.promise;
    await reader.cancel();
    expect((await waiting).done).toBe(true);
    expect(signal.aborted).toBe(true);
  });
});

describe("what does not come in time", () => {
  test("is told so: a call that is late opens nothing that nobody reads", async () => {
    const { backend, asked } = readable(() => new Promise(() => {}));
    const late = withDeadlines(backend, { ...DEADLINES, callMs: 5 });
    await expect(late.open("key")).rejects.toMatchObject({ kind: "storage.unavailable", retry: "backoff" });
    expect(asked[0]?.signal?.aborted).toBe(true);
  });

  test("a silent stream is ended and its connection given back; another goes on", async () => {
    let cancelled = 0;
    const { backend } = readable(async (options, call) => (call === 1 ? silent(() => cancelled++) : streamOf(options)));
    const patient = withRetries(withDeadlines(backend, { ...DEADLINES, idleMs: 5 }), QUICK);
    expect(await textOf(patient)).toBe("0123456789");
    expect(cancelled).toBe(1);
  });

  test("the deadline of a call does not end the stream that it gave", async () => {
    const { backend, asked } = readable(async (options) => streamOf(options));
    const stopping = new AbortController();
    expect(await textOf(withDeadlines(backend), { signal: stopping.signal })).toBe("0123456789");
    stopping.abort(new RendiffError({ kind: "worker.draining", publicMessage: "" }));
    expect(asked[0]?.signal?.reason).toMatchObject({ kind: "worker.draining" });
  });
});
