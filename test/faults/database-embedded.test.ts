/** The embedded database under `kill -9`, and what a second process on its folder hears. */
import { describe, expect, test } from "bun:test";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { openPglite } from "../../src/database/pglite/open-pglite.ts";
import { RendiffError } from "../../src/errors.ts";
import { testEnv } from "../support/env.ts";
import { makeTempDir } from "../support/temp-dir.ts";
import { until, within } from "../support/until.ts";

const WRITER = join(import.meta.dir, "fixtures/embedded-writer.ts");

function startWriter(dataDir: string) {
  const child = Bun.spawn([process.execPath, WRITER, dataDir], { stdout: "pipe", stderr: "pipe", stdin: "ignore" });
  let output = "";
  const drain = async (): Promise<void> => {
    for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) output += text;
  };
  const drained = drain();
  const numbers = (word: string): number[] =>
    output
      .split("\n")
      .slice(0, -1)
      .filter((line) => line.startsWith(`${word} `))
      .flatMap((line) => line.slice(word.length + 1).split(" "))
      .filter((text) => text !== "")
      .map(Number);
  return {
    child,
    numbers,
    output: () => output,
    /** Resolves when the process is gone and all it printed was read. */
    ended: async () => {
      const code = await child.exited;
      await drained;
      return code;
    },
  };
}

describe("kill -9", () => {
  const rounds = testEnv().long ? 500 : 15;
  const budgetMs = testEnv().long ? Number.POSITIVE_INFINITY : 60_000;

  test(`${rounds} rounds: every acknowledged row is there, no transaction is torn, a second process is refused`, async () => {
    const dataDir = await makeTempDir("embedded");
    const startedAtMs = performance.now();
    let acknowledged: number[] = [];
    let total = 0;
    let refused = 0;
    let round = 0;
    for (; round < rounds && performance.now() - startedAtMs < budgetMs; round += 1) {
      const writer = startWriter(dataDir);
      await until(() => writer.output().includes("torn "), {
        timeoutMs: 30_000,
        what: "the writer to open the database",
      });
      const present = new Set(writer.numbers("present"));
      expect(acknowledged.filter((n) => !present.has(n))).toEqual([]);
      expect(writer.numbers("torn")).toEqual([0]);

      const second = startWriter(dataDir);
      expect(await within(second.ended(), 30_000, "the second process to be refused")).toBe(3);
      expect(second.output()).toStartWith("refused database.unavailable");
      expect(second.output()).toContain("DATA_DIR");
      refused += 1;

      // Killed at a moment of its own in each round, by the count of rows, so that it hits every kind of statement.
      const enough = 20 + ((round * 37) % 100);
      await until(() => writer.numbers("ack").length >= enough, { timeoutMs: 30_000, intervalMs: 1, what: "rows" });
      writer.child.kill("SIGKILL");
      await writer.ended();
      const written = writer.numbers("ack");
      total += written.length;
      acknowledged = [...present, ...written];
    }
    const sql = await openPglite({ dataDir, statementTimeoutMs: 5_000 });
    const rows = await sql.query<{ n: number }>("SELECT n FROM left_rows");
    await sql.close();
    const present = new Set(rows.map(({ n }) => n));
    expect(acknowledged.filter((n) => !present.has(n))).toEqual([]);
    expect(refused).toBe(round);
    expect(round).toBeGreaterThanOrEqual(5);
    console.log(`kill -9: ${round} rounds, ${total} acknowledged rows, 0 lost, ${refused} refusals`);
  }, 3_600_000);

  test("during the first start leaves nothing that a second start trips over", async () => {
    const dataDir = await makeTempDir("first-start");
    for (let attempt = 0; attempt < 3; attempt += 1) {
      const writer = startWriter(dataDir);
      await until(async () => (await readdir(dataDir)).some((name) => name !== "database.lock"), {
        timeoutMs: 30_000,
        intervalMs: 1,
        what: "the folder to be made",
      });
      writer.child.kill("SIGKILL");
      await writer.ended();
    }
    const sql = await openPglite({ dataDir, statementTimeoutMs: 5_000 });
    expect(await sql.query("SELECT 1 AS one")).toEqual([{ one: 1 }]);
    await sql.close();
    expect((await readdir(dataDir)).sort()).toEqual(["database", "database.lock"]);
  }, 60_000);
});

describe("the folder's lock", () => {
  const refusal = async (dataDir: string): Promise<RendiffError> => {
    const error = await openPglite({ dataDir, statementTimeoutMs: 1_000 }).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(RendiffError);
    return error as RendiffError;
  };

  test("holds within one process too, and is free after close", async () => {
    const dataDir = await makeTempDir("lock");
    const first = await openPglite({ dataDir, statementTimeoutMs: 1_000 });
    const error = await refusal(dataDir);
    expect(error.kind).toBe("database.unavailable");
    expect(error.publicMessage).toContain("DATA_DIR");
    expect(error.publicMessage).not.toContain(dataDir);
    expect(String((error.cause as Error).message)).toContain(dataDir);
    await first.query("CREATE TABLE kept (n int)");
    await first.close();
    const again = await openPglite({ dataDir, statementTimeoutMs: 1_000 });
    expect(await again.query("SELECT n FROM kept")).toEqual([]);
    await again.close();
  }, 30_000);

  test("is not inherited by children that outlive their parent", async () => {
    const dataDir = await makeTempDir("heir");
    const script = `
      import { openPglite } from ${JSON.stringify(join(import.meta.dir, "../../src/database/pglite/open-pglite.ts"))};
      await openPglite({ dataDir: process.argv[1], statementTimeoutMs: 1000 });
      const heir = Bun.spawn(["sleep", "60"], { detached: true, stdio: ["ignore", "ignore", "ignore"] });
      console.log(heir.pid);
      await new Promise(() => setInterval(() => {}, 1000));`;
    const parent = Bun.spawn([process.execPath, "-e", script, dataDir], { stdout: "pipe", stderr: "inherit" });
    const { value } = await parent.stdout.getReader().read();
    const heirPid = Number(new TextDecoder().decode(value));
    try {
      expect(heirPid).toBeGreaterThan(1);
      await refusal(dataDir);
      parent.kill("SIGKILL");
      await parent.exited;
      const sql = await openPglite({ dataDir, statementTimeoutMs: 1_000 });
      await sql.close();
    } finally {
      process.kill(heirPid, "SIGKILL");
    }
  }, 30_000);
});
