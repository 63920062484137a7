/** What every adapter of the Sql port does (src/database/sql.ts says why). */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { json, type Sql, SqlConflict } from "../../src/database/sql.ts";
import { RendiffError } from "../../src/errors.ts";
import { within } from "../support/until.ts";

/** Long enough for a busy machine; the tests of deadlines open with a short one. */
const STATEMENT_TIMEOUT_MS = 10_000;
const SHORT_TIMEOUT_MS = 400;
const TABLES = `
  CREATE TABLE parents (id uuid PRIMARY KEY);
  CREATE TABLE things (
    id integer PRIMARY KEY, name text CONSTRAINT things_name_unique UNIQUE,
    parent uuid CONSTRAINT things_parent_fk REFERENCES parents (id), count bigint NOT NULL DEFAULT 0
  );
  INSERT INTO things (id, name) VALUES (0, 'counter');
  CREATE TABLE changing AS SELECT 1 AS id;`;

const failure = async (work: Promise<unknown>): Promise<RendiffError> => {
  const error = await work.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(RendiffError);
  return error as RendiffError;
};

/** `open` gives an empty database of its own at each call; the suite closes it. */
export function sqlContract(name: string, open: (statementTimeoutMs: number) => Promise<Sql>): void {
  let sql: Sql;

  describe(`Sql port: ${name}`, () => {
    beforeAll(async () => {
      sql = await open(STATEMENT_TIMEOUT_MS);
      await sql.script(TABLES);
    }, 60_000);
    afterAll(() => sql?.close());

    describe("values", () => {
      const roundTrip = async (type: string, value: Parameters<Sql["query"]>[1]) => {
        const [row] = await sql.query<{ value: unknown }>(`SELECT $1::${type} AS value`, value);
        return row?.value;
      };

      test.each([
        ["a string", "plain"],
        ["a string that looks like a number", "1"],
        ["a string that looks like JSON", '{"a": [1, "\\" \\\\"]}'],
        ["an empty string", ""],
        ["a number", 1.5],
        ["true", true],
        ["an empty array", []],
        ["an array of mixed values", [1, "two", null, { three: [] }, "'; DROP TABLE jobs; --"]],
        ["an object", { a: "ä\n\u2028", b: null, c: { d: [false] } }],
        ["JSON null", null],
      ])("jsonb keeps %s", async (_, value) => {
        expect(await roundTrip("jsonb", [json(value)])).toEqual(value as never);
        const [row] = await sql.query<{ type: string; back: unknown }>("SELECT jsonb_typeof($1) AS type, $1 AS back", [
          json(value),
        ]);
        const expected = value === null ? "null" : Array.isArray(value) ? "array" : typeof value;
        expect(row).toEqual({ type: expected, back: value });
      });

      test("SQL NULL and JSON null differ", async () => {
        const [row] = await sql.query<{ sql: boolean; json: boolean }>(
          "SELECT $1::jsonb IS NULL AS sql, $2::jsonb IS NULL AS json",
          [null, json(null)],
        );
        expect(row).toEqual({ sql: true, json: false });
      });

      test.each([0, -1, 2 ** 31, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER])(
        "int8 %d is a number",
        async (n) => {
          expect(await roundTrip("int8", [n])).toBe(n);
          expect(await roundTrip("int8", [BigInt(n)])).toBe(n);
        },
      );

      test("counts, sums and reals are numbers", async () => {
        const rows = await sql.query(
          "SELECT count(*) AS c, sum(n) AS s, avg(n)::real AS a FROM generate_series(1, 4) n",
        );
        expect(rows).toEqual([{ c: 4, s: 10, a: 2.5 }]);
        const sums = await sql.query(
          "SELECT sum(n::int8) AS s, 0.1::float8 AS f, 3::smallint AS i FROM generate_series(1, 4) n",
        );
        expect(sums).toEqual([{ s: 10, f: 0.1, i: 3 }]);
      });

      test.each(["2026-01-02T03:04:05.678Z", "1969-12-31T23:59:59.999Z", "2026-07-01T00:00:00.000Z"])(
        "timestamptz %s is a Date, exact to the millisecond",
        async (iso) => {
          const date = new Date(iso);
          expect(await roundTrip("timestamptz", [date])).toEqual(date);
          expect(await sql.query("SELECT $1 AS d, $1::timestamptz = $2::timestamptz AS same", [date, iso])).toEqual([
            { d: date, same: true },
          ]);
        },
      );

      test("bytea is a Uint8Array", async () => {
        const bytes = Uint8Array.from({ length: 256 }, (_, at) => at);
        expect(await roundTrip("bytea", [bytes])).toStrictEqual(bytes);
        expect(await roundTrip("bytea", [new Uint8Array()])).toStrictEqual(new Uint8Array());
      });

      test("text[] keeps quotes, commas, braces, backslashes, NULL as a word and as a null", async () => {
        const texts = [
          "plain",
          "",
          "NULL",
          "null",
          'a"b',
          "a,b",
          "{a}",
          "back\\slash",
          "new\nline",
          " space ",
          "ä€😀",
          "'",
        ];
        expect(await roundTrip("text[]", [texts])).toEqual(texts);
        expect(await sql.query(`SELECT ARRAY['a', NULL, 'NULL']::text[] AS t, '{}'::text[] AS e`)).toEqual([
          { t: ["a", null, "NULL"], e: [] },
        ]);
        expect(await roundTrip("text[]", [[]])).toEqual([]);
      });

      test("number arrays, boolean arrays and ANY", async () => {
        expect(await roundTrip("int[]", [[1, -2, 3]])).toEqual([1, -2, 3]);
        expect(await roundTrip("int8[]", [[2 ** 40]])).toEqual([2 ** 40]);
        expect(await sql.query("SELECT ARRAY[true, false] AS b, ARRAY[1, 2]::smallint[] AS s")).toEqual([
          { b: [true, false], s: [1, 2] },
        ]);
        const id = Bun.randomUUIDv7();
        expect(await sql.query("SELECT $1::uuid = ANY($2::uuid[]) AS found", [id, [id]])).toEqual([{ found: true }]);
      });

      test("booleans, uuids and nulls", async () => {
        const id = Bun.randomUUIDv7();
        expect(
          await sql.query("SELECT $1 AS t, $2 AS f, $3::uuid AS id, $4::text AS n", [true, false, id, null]),
        ).toEqual([{ t: true, f: false, id, n: null }]);
      });

      test("a value is never part of the text", async () => {
        const value = `'; SELECT pg_sleep(100); -- $1 "`;
        expect(await sql.query("SELECT $1::text AS value, length($1) AS n", [value])).toEqual([
          { value, n: value.length },
        ]);
      });

      test("many rows and long values", async () => {
        const rows = await sql.query<{ n: number }>("SELECT n FROM generate_series(1, 20000) n");
        expect(rows.length).toBe(20_000);
        expect(rows.at(-1)).toEqual({ n: 20_000 });
        const long = "0123456789".repeat(200_000);
        expect(await roundTrip("text", [long])).toBe(long);
      }, 20_000);

      test("a statement without rows answers with an empty array, RETURNING with what it wrote", async () => {
        expect(await sql.query("UPDATE things SET name = 'x' WHERE id = 99")).toEqual([]);
        expect(await sql.query("INSERT INTO things (id, name) VALUES (1, $1) RETURNING id, name", ["a"])).toEqual([
          { id: 1, name: "a" },
        ]);
      });
    });

    describe("a text that comes again", () => {
      test("takes the values of each time, and goes on after it failed", async () => {
        const insert = "INSERT INTO things (id, name) VALUES ($1, $2) RETURNING id";
        for (let id = 900; id < 905; id += 1) {
          expect(await sql.query(insert, [id, `again ${id}`])).toEqual([{ id }]);
          expect((await failure(sql.query(insert, [id, "other"]))).kind).toBe("database.conflict");
        }
        await sql.query("DELETE FROM things WHERE id >= 900");
      });

      test("knows a table's new columns at the second try at the latest", async () => {
        const select = "SELECT * FROM changing";
        for (let round = 0; round < 3; round += 1) expect(await sql.query(select)).toEqual([{ id: 1 }]);
        await sql.script("ALTER TABLE changing ADD COLUMN other integer DEFAULT 2");
        await sql.query(select).catch((error: RendiffError) => expect(error.kind).toBe("database.unavailable"));
        expect(await sql.query(select)).toEqual([{ id: 1, other: 2 }]);
      });
    });
    describe("errors", () => {
      test("a unique violation is a conflict that names its constraint", async () => {
        const error = await failure(sql.query("INSERT INTO things (id, name) VALUES (2, 'counter')"));
        expect(error).toBeInstanceOf(SqlConflict);
        expect((error as SqlConflict).constraint).toBe("things_name_unique");
        expect(error.kind).toBe("database.conflict");
      });

      test("a missing parent is a conflict that names its constraint, also in a transaction", async () => {
        const insert = "INSERT INTO things (id, parent) VALUES (3, $1)";
        const error = await failure(sql.transaction((tx) => tx.query(insert, [Bun.randomUUIDv7()])));
        expect((error as SqlConflict).constraint).toBe("things_parent_fk");
      });

      test("anything else is our bug, and tells a client nothing", async () => {
        const error = await failure(sql.query("SELECT secret_column FROM things WHERE name = $1", ["hunter2"]));
        expect([error.kind, error.retry]).toEqual(["internal", "never"]);
        expect(`${error.publicMessage} ${error.message} ${error.hint}`).not.toMatch(
          /secret|things|SELECT|hunter2|column/,
        );
      });

      test("two statements in one text are refused", async () => {
        const error = await failure(sql.query("UPDATE things SET count = 77; SELECT 1"));
        expect(error.kind).toBe("internal");
        expect(await sql.query("SELECT 1 AS one FROM things WHERE count = 77")).toEqual([]);
      });

      test("a parameter that is none is refused and the connection goes on", async () => {
        const error = await failure(sql.query("SELECT $1", [{ not: "wrapped" } as never]));
        expect(error.kind).toBe("internal");
        expect(await sql.query("SELECT 1 AS one")).toEqual([{ one: 1 }]);
      });
    });

    describe("transactions", () => {
      const countOf = async (id: number): Promise<unknown> =>
        (await sql.query<{ count: number }>("SELECT count FROM things WHERE id = $1", [id]))[0]?.count;

      test("commit when the callback resolves, with its value", async () => {
        const value = await sql.transaction(async (tx) => {
          await tx.query("INSERT INTO things (id) VALUES (10)");
          const [row] = await tx.query<{ n: number }>("UPDATE things SET count = 5 WHERE id = 10 RETURNING count AS n");
          return row?.n;
        });
        expect(value).toBe(5);
        expect(await countOf(10)).toBe(5);
      });

      test("roll back when it throws, with the very error", async () => {
        const reason = new Error("not ours to translate");
        const run = sql.transaction(async (tx) => {
          await tx.query("INSERT INTO things (id) VALUES (11)");
          throw reason;
        });
        expect(await run.catch((error: unknown) => error)).toBe(reason);
        expect(await countOf(11)).toBeUndefined();
      });

      test("a failed statement fails the transaction, even when its error is swallowed", async () => {
        const run = sql.transaction(async (tx) => {
          await tx.query("INSERT INTO things (id) VALUES (12)");
          await tx.query("INSERT INTO things (id) VALUES (12)").catch(() => {});
        });
        expect(await run.catch((error: unknown) => error)).toBeInstanceOf(SqlConflict);
        expect(await countOf(12)).toBeUndefined();
      });

      test("what is rolled back was never seen by others", async () => {
        const wrote = Promise.withResolvers<void>();
        const run = sql.transaction(async (tx) => {
          await tx.query("INSERT INTO things (id) VALUES (13)");
          wrote.resolve();
          await tx.query("SELECT pg_sleep(0.05)");
          throw new Error("undo");
        });
        await wrote.promise;
        const [seen] = await Promise.all([countOf(13), run.catch(() => {})]);
        expect(seen).toBeUndefined();
      });

      test("statements sent at once run one after the other", async () => {
        const rows = await sql.transaction((tx) =>
          Promise.all(Array.from({ length: 20 }, (_, n) => tx.query("SELECT $1::int AS n", [n]))),
        );
        expect(rows.flat()).toEqual(Array.from({ length: 20 }, (_, n) => ({ n })));
      });

      test("concurrent transactions lose no update", async () => {
        const add = (n: number) =>
          sql.transaction(async (tx) => {
            const [row] = await tx.query<{ count: number }>("SELECT count FROM things WHERE id = 0 FOR UPDATE");
            await tx.query("UPDATE things SET count = $1 WHERE id = 0", [(row?.count ?? 0) + n]);
          });
        await Promise.all(Array.from({ length: 25 }, () => add(2)));
        expect(await countOf(0)).toBe(50);
      }, 20_000);

      test("a transaction that has ended takes no more statements", async () => {
        let leaked: { query: Sql["query"] } | null = null;
        await sql.transaction(async (tx) => {
          leaked = tx;
        });
        const late = (leaked as unknown as { query: Sql["query"] }).query("INSERT INTO things (id) VALUES (14)");
        expect(await late.catch((error: unknown) => error)).toBeInstanceOf(RendiffError);
        expect(await countOf(14)).toBeUndefined();
      });

      test("a script is one transaction", async () => {
        const script = "INSERT INTO things (id) VALUES (16); INSERT INTO things (id) VALUES (16);";
        expect(await sql.script(script).catch((error: unknown) => error)).toBeInstanceOf(SqlConflict);
        expect(await countOf(16)).toBeUndefined();
      });
    });

    describe("deadlines", () => {
      let hasty: Sql;
      beforeAll(async () => {
        hasty = await open(SHORT_TIMEOUT_MS);
        await hasty.script(TABLES);
      }, 60_000);
      afterAll(() => hasty?.close());

      test("a statement over its deadline is a timeout, leaves nothing behind, and the next one works", async () => {
        const seconds = (2 * SHORT_TIMEOUT_MS) / 1000;
        const slow = "INSERT INTO things (id, name) SELECT 50, 'late' FROM pg_sleep($1)";
        const alone = await failure(within(hasty.query(slow, [seconds]), 10_000));
        expect([alone.kind, alone.retry]).toEqual(["database.timeout", "backoff"]);
        const inside = await failure(
          hasty.transaction(async (tx) => {
            await tx.query("INSERT INTO things (id, name) VALUES (51, 'before')");
            await tx.query(slow, [seconds]);
          }),
        );
        expect(inside.kind).toBe("database.timeout");
        expect(await hasty.query("SELECT id FROM things WHERE id IN (50, 51)")).toEqual([]);
      }, 20_000);

      test("a transaction that stops talking is rolled back, and others go on", async () => {
        const run = hasty.transaction(async (tx) => {
          await tx.query("INSERT INTO things (id) VALUES (15)");
          await new Promise(() => {});
        });
        const error = (await within(run, 10_000).catch((thrown: unknown) => thrown)) as RendiffError;
        expect(error.kind).toBe("database.timeout");
        expect(await hasty.query("SELECT id FROM things WHERE id = 15")).toEqual([]);
        await hasty.query("INSERT INTO things (id) VALUES (15)");
      }, 20_000);
    });

    describe("advisory locks", () => {
      test("one holder at a time, each gets its turn", async () => {
        let holders = 0;
        let most = 0;
        const turn = () =>
          sql.withAdvisoryLock(7, 10_000, async (held) => {
            holders += 1;
            most = Math.max(most, holders);
            await held.query("SELECT pg_sleep(0.01)");
            holders -= 1;
            return "done";
          });
        expect(await Promise.all([turn(), turn(), turn(), turn()])).toEqual(["done", "done", "done", "done"]);
        expect(most).toBe(1);
      }, 20_000);

      test("who waits too long hears it; another lock is free; afterwards it is free again", async () => {
        const held = Promise.withResolvers<void>();
        const done = Promise.withResolvers<void>();
        const holder = sql.withAdvisoryLock(8, 0, async () => {
          held.resolve();
          await done.promise;
        });
        await held.promise;
        for (const waitMs of [0, 50]) {
          const error = await sql.withAdvisoryLock(8, waitMs, async () => {}).catch((thrown: unknown) => thrown);
          expect((error as RendiffError).kind).toBe("database.timeout");
        }
        expect(await sql.withAdvisoryLock(9, 0, async () => "other")).toBe("other");
        done.resolve();
        await holder;
        expect(await sql.withAdvisoryLock(8, 0, async () => "again")).toBe("again");
      }, 20_000);

      test("the work's own error comes through and frees the lock", async () => {
        const reason = new Error("mine");
        const run = sql.withAdvisoryLock(10, 0, () => Promise.reject(reason));
        expect(await run.catch((error: unknown) => error)).toBe(reason);
        expect(await sql.withAdvisoryLock(10, 0, async () => "free")).toBe("free");
      });
    });

    test("close lets running work finish, is idempotent, and later calls are refused", async () => {
      const closing = await open(STATEMENT_TIMEOUT_MS);
      const running = closing.query("SELECT pg_sleep(0.05), 1 AS one");
      const closed = closing.close();
      expect(closing.close()).toBe(closed);
      expect((await running).length).toBe(1);
      await within(closed, 10_000);
      const calls = [
        closing.query("SELECT 1"),
        closing.transaction(async () => {}),
        closing.script("SELECT 1"),
        closing.withAdvisoryLock(1, 0, async () => {}),
      ];
      for (const call of calls) {
        const error = (await call.then(() => null).catch((thrown: unknown) => thrown)) as RendiffError | null;
        expect(error?.kind).toBe("database.unavailable");
      }
    }, 60_000);
  });
}
