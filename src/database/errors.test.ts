import { expect, test } from "bun:test";
import { isConnectionLost, translateSqlError } from "./errors.ts";
import { SqlConflict } from "./sql.ts";

const engineError = (code: string, more: object = {}) => Object.assign(new Error("SELECT secret"), { code, ...more });

test.each([
  ["57014", "database.timeout", "backoff", false],
  ["55P03", "database.timeout", "backoff", false],
  ["25P03", "database.timeout", "backoff", true],
  ["57P01", "database.unavailable", "backoff", true],
  ["53300", "database.unavailable", "backoff", true],
  ["08006", "database.unavailable", "backoff", true],
  ["40P01", "database.unavailable", "backoff", false],
  ["CONNECTION_CLOSED", "database.unavailable", "backoff", true],
  ["CONNECT_TIMEOUT", "database.unavailable", "backoff", true],
  ["ECONNREFUSED", "database.unavailable", "backoff", true],
  ["42601", "internal", "never", false],
  ["", "internal", "never", false],
])("%s is %s", (code, kind, retry, lost) => {
  const thrown = engineError(code);
  const error = translateSqlError(thrown);
  expect([error.kind as string, error.retry as string, error.cause]).toEqual([kind, retry, thrown]);
  expect(error.publicMessage).not.toContain("secret");
  expect(isConnectionLost(thrown)).toBe(lost);
});

test("conflicts name their constraint, whatever the driver calls it", () => {
  for (const more of [{ constraint: "jobs_pkey" }, { constraint_name: "jobs_pkey" }]) {
    const error = translateSqlError(engineError("23505", more));
    expect(error).toBeInstanceOf(SqlConflict);
    expect((error as SqlConflict).constraint).toBe("jobs_pkey");
  }
});

test("our own errors pass", () => {
  const error = new SqlConflict("x", null);
  expect(translateSqlError(error)).toBe(error);
});
