/** The lines of a stream of bytes: complete ones only, so that a cut-off line is never taken for a whole. */
import { invalidArchive, LINE_BYTES_MAX } from "./format.ts";

const LINE_FEED = 10;

export async function* linesOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let pending: Uint8Array[] = [];
  let pendingBytes = 0;
  const text = (last: Uint8Array): string => {
    const bytes = pending.length === 0 ? last : Buffer.concat([...pending, last]);
    pending = [];
    pendingBytes = 0;
    try {
      return decoder.decode(bytes);
    } catch (cause) {
      throw invalidArchive("The file is no archive of Rendiff, or it was damaged: it is not text.", cause);
    }
  };
  for await (const chunk of chunks) {
    let from = 0;
    for (let at = chunk.indexOf(LINE_FEED); at !== -1; at = chunk.indexOf(LINE_FEED, from)) {
      yield text(chunk.subarray(from, at));
      from = at + 1;
    }
    if (from === chunk.length) continue;
    // A copy: the stream may use its buffer again.
    pending.push(chunk.slice(from));
    pendingBytes += chunk.length - from;
    if (pendingBytes > LINE_BYTES_MAX) throw invalidArchive("The file is no archive of Rendiff: it has no lines.");
  }
  if (pendingBytes > 0) throw invalidArchive("The archive is not complete: its last line was cut off.");
}
