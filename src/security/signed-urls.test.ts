import { describe, expect, test } from "bun:test";
import { createHmac } from "node:crypto";
import fc from "fast-check";
import { signDownload, verifyDownload } from "./signed-urls.ts";

const SECRET = "a signing secret of the deployment";
const NOW = new Date("2026-01-01T00:00:00Z");
const TARGET = {
  backend: "local",
  key: "folder/ünïcödé 🎬\n.mp4",
  identity: "12:34:56",
  expiresAt: new Date("2026-01-01T01:00:00Z"),
};
const later = (ms: number): Date => new Date(NOW.getTime() + ms);

describe("a download token", () => {
  test("gives back what was signed, and fits into a URL", () => {
    const token = signDownload(SECRET, TARGET);
    expect(verifyDownload(SECRET, token, NOW)).toEqual(TARGET);
    expect(encodeURIComponent(token)).toBe(token);
  });

  test("ends when it said", () => {
    const token = signDownload(SECRET, TARGET);
    expect(verifyDownload(SECRET, token, later(3_599_999))).not.toBeNull();
    expect(verifyDownload(SECRET, token, later(3_600_000))).toBeNull();
  });

  test("is nothing under another secret, or none", () => {
    const token = signDownload(SECRET, TARGET);
    expect(verifyDownload(`${SECRET}.`, token, NOW)).toBeNull();
    expect(verifyDownload("", token, NOW)).toBeNull();
    expect(() => signDownload("", TARGET)).toThrow();
  });

  test("is not a signature that was made for something else", () => {
    const [payload = ""] = signDownload(SECRET, TARGET).split(".");
    for (const text of [payload, `rendiff.events.v1.${payload}`]) {
      const signature = createHmac("sha256", SECRET).update(text).digest("base64url");
      expect(verifyDownload(SECRET, `${payload}.${signature}`, NOW)).toBeNull();
    }
  });

  test("changed in any one character is refused", () => {
    const token = signDownload(SECRET, TARGET);
    for (let i = 0; i < token.length; i++) {
      for (const other of ["A", "b", "-", ".", "=", " "]) {
        if (token[i] === other) continue;
        expect(verifyDownload(SECRET, token.slice(0, i) + other + token.slice(i + 1), NOW)).toBeNull();
      }
      expect(verifyDownload(SECRET, token.slice(0, i), NOW)).toBeNull();
    }
    expect(verifyDownload(SECRET, `${token}=`, NOW)).toBeNull();
    expect(verifyDownload(SECRET, `${token}\n`, NOW)).toBeNull();
  });

  test("and whatever else is sent is refused without a throw", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => expect(verifyDownload(SECRET, text, NOW)).toBeNull()),
    );
    expect(verifyDownload(SECRET, "a".repeat(1_000_000), NOW)).toBeNull();
  });

  test("round-trips for every key", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", minLength: 1, maxLength: 256 }), (key) => {
        const target = { ...TARGET, key };
        expect(verifyDownload(SECRET, signDownload(SECRET, target), NOW)).toEqual(target);
      }),
    );
  });
});
