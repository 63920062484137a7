import { describe, expect, test } from "bun:test";
import { join, resolve } from "node:path";
import fc from "fast-check";
import { RendiffError } from "../errors.ts";
import type { StorageBackend } from "./port.ts";
import { makeStorageRegistry } from "./registry.ts";
import { formatUri, parseStorageUri } from "./uri.ts";

const BACKENDS = ["local", "gcs", "minio"];
const parse = (text: string) => parseStorageUri(text, { backends: BACKENDS });

function refusal(text: string): RendiffError {
  try {
    parse(text);
  } catch (error) {
    if (error instanceof RendiffError) return error;
    throw error;
  }
  throw new Error(`${JSON.stringify(text)} was accepted.`);
}

describe("places", () => {
  test.each([
    ["a.mp4", "local", "a.mp4"],
    ["folder/a.mp4", "local", "folder/a.mp4"],
    ["local://a.mp4", "local", "a.mp4"],
    ["local:///folder/a.mp4", "local", "folder/a.mp4"],
    ["LOCAL://Folder/A.mp4", "local", "Folder/A.mp4"],
    ["gs://bucket/a.mp4", "gcs", "bucket/a.mp4"],
    ["gcs://bucket/a.mp4", "gcs", "bucket/a.mp4"],
    ["minio://a", "minio", "a"],
    // Escapes are read after a scheme only, and once.
    ["local://a%20b%2Ec", "local", "a b.c"],
    ["a%20b.mp4", "local", "a%20b.mp4"],
    ["local://a%2Fb", "local", "a/b"],
    ["local://%E6%97%A5.mp4", "local", "日.mp4"],
    ["local://100%.mp4", "local", "100%.mp4"],
    ["local://100%25%20", "local", "100% "],
    // No query, no fragment, no shell, no options.
    ["local://a?b=c&d#e.mp4", "local", "a?b=c&d#e.mp4"],
    ["-i.mp4", "local", "-i.mp4"],
    ["a 'b' \"c\".mp4", "local", "a 'b' \"c\".mp4"],
    ["a\nb\tc.mp4", "local", "a\nb\tc.mp4"],
    ["ünïcödé 🎬.mp4", "local", "ünïcödé 🎬.mp4"],
    ["concat:a|b", "local", "concat:a|b"],
    ["me@home:8.mp4", "local", "me@home:8.mp4"],
    ["...", "local", "..."],
    [".rendiffs", "local", ".rendiffs"],
  ])("%j", (text, backend, key) => {
    expect(parse(text)).toMatchObject({ backend, key });
  });

  test("a bare path lies in the default backend", () => {
    expect(parseStorageUri("a/b", { defaultBackend: "minio" })).toEqual({
      backend: "minio",
      key: "a/b",
      uri: "minio://a/b",
    });
  });
});

describe("refused", () => {
  test.each([
    [""],
    ["local://"],
    ["local:///"],
    ["/etc/passwd"],
    ["//etc/passwd"],
    ["local:////etc/passwd"],
    [".."],
    ["../a"],
    ["a/../../b"],
    ["a/.."],
    ["./a"],
    ["a/./b"],
    ["a//b"],
    ["a/"],
    ["local://folder/"],
    ["local://../a"],
    ["local://%2e%2e/a"],
    ["local://%2E%2e%2fa"],
    ["local://a/%2e%2e%2f%2e%2e%2fb"],
    ["local://%252e%252e/a"],
    ["local://%25252e%25252e/a"],
    ["local://a%252fb"],
    ["local://%%32e%%32e/a"],
    ["%2e%2e/a"],
    ["..%2fa"],
    ["a%5cb"],
    ["a%00b"],
    ["local://a%00b"],
    ["local://a%5c..%5cb"],
    ["..\\a"],
    ["C:\\a"],
    ["a\0b"],
    ["a\u001b[31m"],
    ["a\u0085b"],
    ["a\u007f"],
    ["\ud800.mp4"],
    ["local://%c0%ae%c0%ae/a"],
    ["local://%ff"],
    ["local://user:secret@host/a"],
    ["local://:secret@a"],
    [".rendiff/uploads/a"],
    ["a/.Rendiff/b"],
    ["local://%2erendiff/a"],
    ["folder/.rendiff-job-1-0.part"],
    ["x".repeat(256)],
    ["x/".repeat(600)],
    ["x".repeat(5000)],
  ])("%j", (text) => {
    const error = refusal(text);
    expect(error.kind).toBe("request.invalid");
    expect(error.publicMessage).toMatch(/^The storage path .+\.$/);
    expect(error.publicMessage).not.toContain("secret");
  });

  test.each([
    ["upload://0190", '"upload"'],
    ["file:///etc/passwd", '"file"'],
    ["s3://bucket/key", '"s3"'],
    [`${"x".repeat(100)}://a`, '"xxx'],
  ])("%j, by name", (text, name) => {
    const error = refusal(text);
    expect(error.kind).toBe("request.unsupported");
    expect(error.publicMessage).toContain(name);
    expect(error.publicMessage).not.toContain("secret");
    expect(error.publicMessage.length).toBeLessThan(200);
  });
});

test("web addresses stay as they were written, and are refused where they are not served", () => {
  const backends = ["local", "http", "https"];
  for (const uri of [
    "https://example.com/a%20b.mp4?x=%2F..&y=1",
    "http://[2001:db8::1]:8080/a//b",
    "https://example.com",
  ]) {
    const place = parseStorageUri(uri, { backends });
    expect([place.uri, formatUri(place), `${place.backend}://${place.key}`]).toEqual([uri, uri, uri]);
  }
  expect(() => parseStorageUri("http://example.com/a", { backends: ["local"] })).toThrow('named "http"');
});

describe("whatever is written", () => {
  const ROOT = "/srv/root";
  /** Pieces that attackers and odd file names are made of, more often than chance would have them. */
  const piece = fc.oneof(
    fc.constantFrom(
      "..",
      ".",
      "/",
      "//",
      "\\",
      "%2e",
      "%2E",
      "%2f",
      "%5c",
      "%25",
      "%00",
      "%",
      "\0",
      "~",
      "@",
      ":",
      "a",
    ),
    fc.constantFrom("local://", "gs://", "file://", "LOCAL:///", ".rendiff", ".rendiff-", "．．", "%c0%ae", "é", "\n"),
    fc.string({ unit: "binary", maxLength: 4 }),
    fc.string({ maxLength: 6 }),
  );
  const text = fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join(""));

  const accepted = (input: string) => {
    try {
      return parse(input);
    } catch (error) {
      expect(error).toBeInstanceOf(RendiffError);
      return null;
    }
  };

  /** As often as someone in front of or behind us may decode it. */
  function decodings(key: string): string[] {
    const found = [key];
    for (let i = 0; i < 4; i++) found.push((found.at(-1) ?? "").replaceAll(/%[0-7][0-9a-f]/gi, decodeURIComponent));
    return found;
  }

  test("it stays below the root, however often it is decoded, or is refused with a RendiffError", () => {
    fc.assert(
      fc.property(text, (input) => {
        const place = accepted(input);
        if (place === null) return;
        for (const key of decodings(place.key)) {
          const path = resolve(join(ROOT, key));
          expect(path.startsWith(`${ROOT}/`)).toBe(true);
          expect(key).not.toMatch(/\\|\0/);
        }
        expect(resolve(join(ROOT, place.key))).toBe(`${ROOT}/${place.key}`);
      }),
      { numRuns: 5_000 },
    );
  });

  test("its URI names the same place, on one line", () => {
    fc.assert(
      fc.property(text, (input) => {
        const place = accepted(input);
        if (place === null) return;
        expect(parse(place.uri)).toEqual(place);
        expect(formatUri(place)).toBe(place.uri);
        expect(place.uri).not.toMatch(/[\r\n\u2028\u2029]/);
      }),
      { numRuns: 5_000 },
    );
  });

  test("names of files round-trip", () => {
    const name = fc
      .string({ unit: "grapheme", minLength: 1, maxLength: 20 })
      .filter((one) => !/[/\\\p{Cc}]/u.test(one));
    fc.assert(
      fc.property(fc.array(name, { minLength: 1, maxLength: 4 }), (names) => {
        const key = names.join("/");
        fc.pre(!names.some((one) => /^\.{1,2}$/.test(one)) && !/%(25)*(2e|2f|5c|00)/i.test(key));
        expect(parse(formatUri({ backend: "local", key }))).toMatchObject({ backend: "local", key });
      }),
      { numRuns: 2_000 },
    );
  });
});

describe("makeStorageRegistry", () => {
  const named = (name: string): StorageBackend => ({ name }) as StorageBackend;

  test("gives backends by name and refuses the others by name", () => {
    const registry = makeStorageRegistry([named("local"), named("s3")]);
    expect(registry.names).toEqual(["local", "s3"]);
    expect(registry.backend("s3").name).toBe("s3");
    expect(() => registry.backend("azure")).toThrow('There is no storage backend named "azure"');
    expect(() => registry.backend("__proto__")).toThrow(RendiffError);
  });

  test("two of one name are a mistake", () => {
    expect(() => makeStorageRegistry([named("a"), named("a")])).toThrow("same name");
  });
});
