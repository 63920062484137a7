import { expect, test } from "bun:test";
import { makePrepared } from "./prepared.ts";

const PARSE = "P";
const CLOSE = "C";

/** The first letters of the messages that a text is sent with. */
function kindsOf(bytes: Uint8Array): string {
  let kinds = "";
  for (let at = 0; at < bytes.length; at += 1 + new DataView(bytes.buffer, bytes.byteOffset).getUint32(at + 1)) {
    kinds += String.fromCharCode(bytes[at] ?? 0);
  }
  return kinds;
}

test("a text is parsed when it comes first, prepared when it comes again, and only bound from then on", () => {
  const prepared = makePrepared();
  const send = (text: string): string => {
    const { message, kept } = prepared.message(text, []);
    kept();
    return kindsOf(message);
  };
  expect([send("a"), send("b"), send("a"), send("a"), send("b"), send("b")]).toEqual([
    ...["PBDE", "PBDE", "PBDE", "BDE", "PBDE", "BDE"],
  ]);
});

test("a text with values of other types is another one", () => {
  const prepared = makePrepared();
  const send = (oid: number): string => {
    const { message, kept } = prepared.message("SELECT $1", [{ text: "t", oid }]);
    kept();
    return kindsOf(message);
  };
  expect([send(16), send(16), send(16), send(3802)]).toEqual(["PBDE", "PBDE", "BDE", "PBDE"]);
});

test("what was used least lately, and what failed, is closed with the next message and begins anew", () => {
  const prepared = makePrepared(2);
  const send = (text: string, fails = false): string => {
    const { message, kept, failed } = prepared.message(text, []);
    if (fails) failed();
    else kept();
    return kindsOf(message);
  };
  for (const text of ["a", "a", "b", "b", "a"]) send(text);
  expect(send("c")).not.toContain(CLOSE);
  // `b` had to go.
  expect(send("a")).toBe(`${CLOSE}BDE`);
  expect(send("b")).toContain(PARSE);
  expect(send("a", true)).not.toContain(PARSE);
  expect(send("a")).toBe(`${CLOSE}PBDE`);
});
