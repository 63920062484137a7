/** Room for what is fetched: asked for before each byte, and for no byte twice. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { RendiffError } from "../../src/errors.ts";
import { makeUrlGuard } from "../../src/security/outbound/url-guard.ts";
import { openHttpBackend } from "../../src/storage/http/http-backend.ts";
import { openRemote } from "../../src/transfer/remote-input.ts";
import { makeTempDir } from "../support/temp-dir.ts";
import { until } from "../support/until.ts";
import { startWebServer, type WebServer } from "../support/web-server.ts";

const MIB = 1024 * 1024;
const { signal } = new AbortController();
const backend = openHttpBackend({ name: "http", guard: makeUrlGuard({ allowNetworks: ["127.0.0.1/32"] }) });
/** A transport stream by its packets: looked at from both ends. */
const bytes = new Uint8Array(188 * 40_000).map((_, index) => (index % 188 === 0 ? 0x47 : 0));
let web: WebServer;

beforeAll(async () => {
  web = await startWebServer();
});
afterAll(() => web[Symbol.asyncDispose]());

async function remoteOf(name: string, reserve: (bytes: number) => Promise<void>) {
  const key = `${web.url}/${name}`.replace("http://", "");
  const stat = await backend.stat(key);
  if (stat === null) throw new Error("The server has no such object.");
  return { backend, key, stat, path: join(await makeTempDir("remote"), "in"), signal, reserve };
}

describe("room for a remote input", () => {
  test("is asked for both ends before they are fetched, and for the rest only when it is", async () => {
    web.put("/film.ts", { bytes });
    let room = 0;
    const options = await remoteOf("film.ts", async (more) => {
      room += more;
    });
    const remote = await openRemote(options);
    expect(remote.layout).toMatchObject({ streams: true, container: "ts" });
    expect(room).toBe(5 * MIB);
    expect(room).toBe(remote.fetchedBytes());
    await remote.grow(signal);
    expect(room).toBe(remote.fetchedBytes());
    await remote.complete(signal);
    expect(room).toBe(bytes.length);
    expect(await Bun.file(options.path).bytes()).toEqual(bytes);
  });

  test.each([false, true])(
    "that is not there is found out before a byte is fetched (no ranges: %p)",
    async (noRanges) => {
      web.put("/full.ts", { bytes, noRanges });
      let asked = 0;
      const options = await remoteOf("full.ts", async (more) => {
        asked += more;
        throw new RendiffError({ kind: "resource.disk", publicMessage: "" });
      });
      const before = web.requests.length;
      await expect(openRemote(options)).rejects.toMatchObject({ kind: "resource.disk" });
      expect(web.requests.length).toBe(before);
      // A server without ranges gives all or nothing.
      expect(asked).toBe(noRanges ? bytes.length : MIB);
    },
  );
});

test("what is read in order is on its way before its reader asks for it", async () => {
  web.put("/ahead.ts", { bytes });
  const remote = await openRemote(await remoteOf("ahead.ts", async () => {}));
  const before = web.requests.length;
  const parts = remote.read(new AbortController().signal);
  await until(() => (web.requests[before]?.sentBytes ?? 0) > MIB);
  expect(Buffer.compare(Buffer.concat(await Array.fromAsync(parts)), bytes)).toBe(0);
  expect(web.requests.length).toBe(before + 1);
});
