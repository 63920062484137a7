/** What is kept of a child's output: everything is read, so a child never blocks on a pipe; little is remembered. */

/** A longer line is cut here and its rest dropped, so that a child cannot fill the memory with one line. */
export const LINE_BYTES_MAX = 1024 * 1024;

export interface LineSplitter {
  push(chunk: Uint8Array): void;
  /** Delivers a last line that has no newline. */
  end(): void;
}

/** Calls `onLine` for each `\n`-ended line, without it and without a `\r` before it. Lengths are counted in UTF-16 units. */
export function makeLineSplitter(onLine: (line: string) => void, lineMax = LINE_BYTES_MAX): LineSplitter {
  const decoder = new TextDecoder();
  let pending = "";
  let overlong = false;
  const emit = (line: string) => onLine(line.endsWith("\r") ? line.slice(0, -1) : line);
  const take = (text: string) => {
    let from = 0;
    for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", from)) {
      const line = pending + text.slice(from, at);
      if (!overlong) emit(line.slice(0, lineMax));
      pending = "";
      overlong = false;
      from = at + 1;
    }
    if (overlong) return;
    pending += text.slice(from);
    if (pending.length <= lineMax) return;
    emit(pending.slice(0, lineMax));
    pending = "";
    overlong = true;
  };
  return {
    push: (chunk) => take(decoder.decode(chunk, { stream: true })),
    end() {
      take(decoder.decode());
      if (pending !== "") emit(pending);
      pending = "";
    },
  };
}

export interface Tail {
  push(chunk: Uint8Array): void;
  text(): string;
}

const TAIL_BYTES_FIRST = 1024;

/** Keeps the last `bytesMax` bytes; holds at most twice as many, and copies each byte a few times at most. */
export function makeTail(bytesMax: number): Tail {
  const lengthMax = Math.max(1, bytesMax) * 2;
  // Most programs say nothing.
  let buffer = Buffer.alloc(0);
  let length = 0;
  const grow = (needed: number): void => {
    const next = Buffer.alloc(Math.min(lengthMax, Math.max(TAIL_BYTES_FIRST, needed, 2 * buffer.length)));
    buffer.copy(next, 0, 0, length);
    buffer = next;
  };
  return {
    push(chunk) {
      const kept = chunk.length > bytesMax ? chunk.subarray(chunk.length - bytesMax) : chunk;
      if (length + kept.length > buffer.length && buffer.length < lengthMax) grow(length + kept.length);
      if (length + kept.length > buffer.length) {
        const rest = Math.min(length, Math.max(0, bytesMax - kept.length));
        buffer.copyWithin(0, length - rest, length);
        length = rest;
      }
      buffer.set(kept, length);
      length += kept.length;
    },
    text() {
      const from = Math.max(0, length - bytesMax);
      // The first character may have been cut in two: what is left of it is no text.
      let start = from;
      while (from > 0 && start < length && start < from + 3 && ((buffer[start] ?? 0) & 0xc0) === 0x80) start += 1;
      return new TextDecoder().decode(buffer.subarray(start, length));
    },
  };
}
