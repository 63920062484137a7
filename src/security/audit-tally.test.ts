import { expect, test } from "bun:test";
import { silentLogger } from "../../test/support/silent-logger.ts";
import type { Sql } from "../database/sql.ts";
import { makeAuditTally } from "./audit-tally.ts";

test("a close waits for what is being written already", async () => {
  const held = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  let written = false;
  const transaction = async (): Promise<void> => {
    begun.resolve();
    await held.promise;
    written = true;
  };
  const tally = makeAuditTally({ sql: { transaction } as unknown as Sql, logger: silentLogger() });
  tally.count({ actor: "unknown", action: "key.refused", address: "192.0.2.1" }, "a request");
  const flushed = tally.flush();
  await begun.promise;
  const closed = tally.close().then(() => written);
  held.resolve();
  expect(await closed).toBe(true);
  await flushed;
});
