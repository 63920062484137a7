/**
 * Generated requests at the running program, made by Schemathesis from its own OpenAPI document: by operation, and in
 * chains in which one answer's ids go into the next request. No answer is a failure of ours, and each is what the document
 * says: status, content type and schema.
 */
import { expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { testEnv } from "../support/env.ts";
import { makeKey, makeSite, startServer } from "../support/server.ts";

const SECONDS = testEnv().long ? 1_800 : 25;
const PYTHON = Bun.which("python3") ?? "python3";

/** Streams and sockets answer for as long as one listens; a sample webhook leaves the machine. */
const LEFT_OUT = ["eventsStream", "eventsJobSocket", "eventsSocket", "batchEvents", "webhooksTest"];
/** Schemathesis knows bytes, but not tus's name for them. */
const HOOKS = `import schemathesis
schemathesis.serializer.alias("application/offset+octet-stream", "application/octet-stream")
`;
const CHECKS = [
  "not_a_server_error",
  "status_code_conformance",
  "content_type_conformance",
  "response_schema_conformance",
];

test(
  "no generated request gets a failure of ours, or an answer that the document does not know",
  async () => {
    const site = await makeSite("embedded", { RATE_LIMIT: "1000000/min", ADDRESS_RATE_LIMIT: "1000000/min" });
    const key = await makeKey(site, { role: "admin" });
    await using server = await startServer(site);
    await writeFile(join(site.folder, "fuzz_hooks.py"), HOOKS);
    const run = Bun.spawn(
      [
        ...[PYTHON, "-m", "schemathesis.cli", "run", `${server.url}/openapi.json`, "--header", `X-API-Key: ${key}`],
        ...["--phases", "fuzzing,stateful", "--max-time", `${SECONDS}`, "--max-examples", testEnv().long ? "200" : "4"],
        ...["--checks", CHECKS.join(","), "--continue-on-failure", "--no-shrink", "--warnings", "off"],
        ...["--suppress-health-check", "all", "--request-timeout", "30", "--no-color"],
        // New ones each time where there is time for it; the gate's share stays the same.
        ...(testEnv().long ? [] : ["--seed", "20260101"]),
        ...LEFT_OUT.flatMap((id) => ["--exclude-operation-id", id]),
      ],
      {
        cwd: site.folder,
        env: {
          PATH: Bun.env.PATH ?? "",
          HOME: site.folder,
          PYTHONPATH: `${testEnv().schemathesis}:${site.folder}`,
          LANG: "C.UTF-8",
          SCHEMATHESIS_HOOKS: "fuzz_hooks",
        },
        stdin: "ignore",
        stdout: "pipe",
        stderr: "pipe",
      },
    );
    const [stdout, stderr] = await Promise.all([new Response(run.stdout).text(), new Response(run.stderr).text()]);
    const code = await run.exited;
    // What was found stands at the end.
    expect([code, code === 0 ? "" : `${stdout.slice(-6_000)}${stderr.slice(-1_000)}`]).toEqual([0, ""]);
    expect(Number(/(\d+) generated/.exec(stdout)?.[1] ?? 0)).toBeGreaterThan(100);
    const errors = (await server.log()).split("\n").filter((line) => line.includes('"level":"error"'));
    expect(errors).toEqual([]);
  },
  (SECONDS + 90) * 1_000,
);
