/**
 * The OpenAPI document, walked: every operation with every credential. What each has to answer is in `RULES`; an operation
 * without an entry fails, so whoever adds a route says here who may call it, and whose things it touches.
 */
import { beforeAll, describe, expect, test } from "bun:test";
import { openapiDocument } from "../../plugins/docs/openapi.ts";
import type { JobId } from "../../src/jobs/types.ts";
import type { KeyPropertiesInput } from "../../src/security/keys.schema.ts";
import { listDeliveries } from "../../src/webhooks/deliveries.ts";
import { openTestDatabase } from "../faults/protocol-harness.ts";
import { makeTempDir } from "../support/temp-dir.ts";
import { makeTestHttp } from "./http-harness.ts";

type Role = "readonly" | "user" | "admin";
/** Whose id stands in the path: of another tenant's thing the answer is 404. */
type Thing = "job" | "delivery" | "batch" | "preset" | "key" | "upload";

interface Rule {
  /** `public` and `network` need no key; `signed` has its own in the path. */
  readonly needs: Role | "public" | "network" | "signed";
  readonly thing?: Thing;
  /** A body that is good but for what a key lacks, and the lack: refused with 403. */
  readonly body?: object;
  readonly bytes?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly lacks?: readonly Partial<KeyPropertiesInput>[];
  /** Answers for as long as the client listens: a good call is not made. */
  readonly endless?: boolean;
}

const CONVERT = {
  input_path: "local://a.mov",
  output_path: "local://b.mp4",
  operations: [{ type: "scale", width: 64 }],
};
const NO_PLACE = [{ read_backends: ["elsewhere"] }, { write_backends: ["elsewhere"] }];
const NO_OPERATION = { allowed_operations: ["trim"] };

const TUS = { "tus-resumable": "1.0.0" };
const NO_UPLOADS = [{ read_backends: ["elsewhere"] }];

const RULES: Readonly<Record<string, Rule>> = {
  convertCreate: { needs: "user", body: CONVERT, lacks: [...NO_PLACE, NO_OPERATION] },
  streamCreate: {
    ...{ needs: "user", body: { input_path: "local://a.mov", output_path: "local://p", format: "hls" } },
    lacks: [...NO_PLACE, NO_OPERATION],
  },
  analyzeCreate: {
    ...{ needs: "user", body: { input_path: "local://a.mov", metrics: ["loudness"] } },
    lacks: [{ read_backends: ["elsewhere"] }],
  },
  estimateCreate: { needs: "user", body: CONVERT, lacks: [...NO_PLACE, NO_OPERATION] },
  probe: { needs: "user", body: { input: "local://a.mov" }, lacks: [{ read_backends: ["elsewhere"] }] },
  jobsList: { needs: "readonly" },
  jobsGet: { needs: "readonly", thing: "job" },
  jobsPrioritize: { needs: "user", thing: "job", body: { priority: "low" } },
  jobsCancel: { needs: "user", thing: "job" },
  jobsRetry: { needs: "user", thing: "job" },
  jobsLogs: { needs: "readonly", thing: "job" },
  jobsOutputs: { needs: "readonly", thing: "job" },
  jobsOutputsDelete: { needs: "user", thing: "job" },
  batchCreate: {
    ...{ needs: "user", body: { mode: "atomic", items: [{ type: "convert", ...CONVERT }] } },
    lacks: [...NO_PLACE, NO_OPERATION],
  },
  batchGet: { needs: "readonly", thing: "batch" },
  batchCancel: { needs: "user", thing: "batch" },
  batchEvents: { needs: "readonly", thing: "batch", endless: true },
  presetsList: { needs: "readonly" },
  presetsCreate: {
    ...{ needs: "user", body: { name: "fresh", operations: CONVERT.operations } },
    lacks: [NO_OPERATION],
  },
  presetsGet: { needs: "readonly", thing: "preset" },
  presetsChange: { needs: "user", thing: "preset", body: { operations: CONVERT.operations }, lacks: [NO_OPERATION] },
  presetsDelete: { needs: "user", thing: "preset" },
  eventsStream: { needs: "readonly", thing: "job", endless: true },
  eventsJobSocket: { needs: "readonly", thing: "job", endless: true },
  eventsSocket: { needs: "readonly", endless: true },
  tokensCreate: { needs: "readonly", body: {} },
  webhooksList: { needs: "readonly", thing: "job" },
  webhooksRedeliver: { needs: "user", thing: "delivery" },
  webhooksTest: { needs: "user", body: { url: "http://10.0.0.1/" } },
  uploadsOptions: { needs: "public" },
  uploadsCreate: { needs: "user", headers: { ...TUS, "upload-length": "9" }, lacks: NO_UPLOADS },
  uploadsHead: { needs: "readonly", headers: TUS, thing: "upload" },
  uploadsGet: { needs: "readonly", thing: "upload" },
  uploadsAppend: {
    ...{ needs: "user", thing: "upload", bytes: "abc" },
    headers: { ...TUS, "upload-offset": "0", "content-type": "application/offset+octet-stream" },
  },
  uploadsDelete: { needs: "user", headers: TUS, thing: "upload" },
  uploadsPut: { needs: "user", bytes: "abc", lacks: NO_UPLOADS },
  filesGet: { needs: "signed" },
  keysGet: { needs: "signed" },
  health: { needs: "public" },
  healthLive: { needs: "public" },
  healthReady: { needs: "public" },
  openapi: { needs: "public" },
  docs: { needs: "public" },
  metrics: { needs: "network" },
  capabilities: { needs: "readonly" },
  adminKeysCreate: { needs: "admin", body: { name: "made by a test" } },
  adminKeysList: { needs: "admin" },
  adminKeysGet: { needs: "admin", thing: "key" },
  adminKeysChange: { needs: "admin", thing: "key", body: {} },
  adminKeysRevoke: { needs: "admin", thing: "key" },
  adminKeysRotate: { needs: "admin", thing: "key", body: {} },
  adminAudit: { needs: "admin" },
  adminCleanup: { needs: "admin" },
  adminStats: { needs: "admin" },
  adminStorage: { needs: "admin" },
  adminWorkers: { needs: "admin" },
  adminQueues: { needs: "admin" },
  adminQueuesPause: { needs: "admin" },
  adminQueuesResume: { needs: "admin" },
};

interface Operation {
  readonly id: string;
  readonly method: string;
  readonly path: string;
  readonly keyless: boolean;
  readonly rule: Rule;
}

const { paths } = openapiDocument({ version: "1" }) as {
  paths: Record<string, Record<string, { operationId: string; security: unknown[] }>>;
};
const OPERATIONS: readonly Operation[] = Object.entries(paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, { operationId, security }]) => ({
    ...{ id: operationId, method: method.toUpperCase(), path, keyless: security.length === 0 },
    // Absent: the first test says so.
    rule: RULES[operationId] ?? { needs: "admin" },
  })),
);
const KEYED = OPERATIONS.filter(({ keyless }) => !keyless);
const ROLES: readonly Role[] = ["readonly", "user", "admin"];

const { sql } = await openTestDatabase("pglite");
const http = makeTestHttp({ sql, root: await makeTempDir("http-matrix") });
const owner = await http.key();

interface Things {
  readonly job: string;
  readonly delivery: string;
  readonly batch: string;
  readonly preset: string;
  readonly key: string;
  readonly upload: string;
}

/** New ones, since calls end or delete them. */
async function makeThings(): Promise<Things> {
  const ask = async (method: string, path: string, json?: object) => {
    const answer = await http.call(method, path, { key: owner.key, ...(json === undefined ? {} : { json }) });
    return (await answer.json()) as { id: string; batch_id: string };
  };
  const webhook = { webhook_url: "https://a.example/", webhook_events: ["cancelled"] };
  const { id: job } = await ask("POST", "/convert", { ...CONVERT, ...webhook });
  await ask("DELETE", `/jobs/${job}`);
  const [delivery] = await listDeliveries(sql, job as JobId);
  const { batch_id: batch } = await ask("POST", "/batch", { items: [{ type: "convert", ...CONVERT }] });
  const preset = `p-${job}`;
  await ask("POST", "/presets", { name: preset, operations: CONVERT.operations });
  const announced = { ...TUS, "upload-length": "9" };
  const begun = await http.call("POST", "/uploads", { key: owner.key, headers: announced });
  const { id: upload } = (await begun.json()) as { id: string };
  return { job, delivery: delivery?.id ?? "", batch, preset, key: (await http.key()).apiKey.id, upload };
}

let things: Things;
beforeAll(async () => {
  things = await makeThings();
});

function pathOf({ path, rule }: Operation, ids: Things): string {
  const id = rule.thing === undefined ? "x" : rule.thing === "delivery" ? ids.job : ids[rule.thing];
  return path.replace("{id}", id).replace("{name}", id).replace("{delivery}", ids.delivery).replace("{token}", "a.b");
}

async function status(operation: Operation, key: string | undefined, ids = things): Promise<number> {
  const { method, rule } = operation;
  const answer = await http.call(method, `http://localhost${pathOf(operation, ids)}`, {
    ...{ key, ...(rule.body === undefined ? {} : { json: rule.body }) },
    ...(rule.bytes === undefined ? {} : { body: rule.bytes }),
    ...(rule.headers === undefined ? {} : { headers: rule.headers }),
  });
  await answer.body?.cancel();
  return answer.status;
}

test("every operation has a rule here, and no rule is without an operation", () => {
  expect(OPERATIONS.map(({ id }) => id).sort()).toEqual(Object.keys(RULES).sort());
  for (const { id, keyless, rule } of OPERATIONS) {
    expect([id, keyless]).toEqual([id, !ROLES.some((role) => role === rule.needs)]);
  }
});

describe("no operation that needs a key answers", () => {
  const credentials: readonly (readonly [string, () => Promise<string | undefined>])[] = [
    ["no key", async () => undefined],
    ["a wrong key", async () => "rnd_0193a00000007000800000000000ffff_0000000000000000000000000000000000000000"],
    [
      "a key of its own length with one letter changed",
      async () => `${owner.key.slice(0, -1)}${owner.key.endsWith("0") ? "1" : "0"}`,
    ],
    ["an expired key", async () => (await http.key({ role: "admin", expires_at: "2020-01-01T00:00:00Z" })).key],
    [
      "a revoked key",
      async () => {
        const made = await http.key({ role: "admin" });
        await sql.query("UPDATE api_keys SET revoked_at = now() WHERE id = $1", [made.apiKey.id]);
        return made.key;
      },
    ],
  ];
  for (const [name, make] of credentials) {
    test(name, async () => {
      const key = await make();
      for (const operation of KEYED) expect([operation.id, await status(operation, key)]).toEqual([operation.id, 401]);
    });
  }
});

test("a role below the one that is needed answers 403, one at or above it does not", async () => {
  for (const role of ROLES) {
    const { key } = await http.key({ role });
    for (const operation of KEYED) {
      const enough = ROLES.indexOf(role) >= ROLES.indexOf(operation.rule.needs as Role);
      if (enough && operation.rule.endless === true) continue;
      const answered = await status(operation, key);
      const name = `${role}: ${operation.id}`;
      if (enough)
        expect([name, answered, answered === 401 || answered === 403 || answered >= 500]).toEqual([
          name,
          answered,
          false,
        ]);
      else expect([name, answered]).toEqual([name, 403]);
    }
  }
});

test("what a key may not do or reach answers 403, whatever its role", async () => {
  for (const operation of KEYED) {
    for (const lack of operation.rule.lacks ?? []) {
      const { key } = await http.key({ role: "admin", ...lack });
      const name = `${operation.id} ${JSON.stringify(lack)}`;
      expect([name, await status(operation, key, await makeThings())]).toEqual([name, 403]);
    }
  }
});

test("another tenant's things are not there, as little as those that never were", async () => {
  const { key } = await http.key();
  const never = Object.fromEntries(
    Object.keys(things).map((name) => [name, name === "preset" ? "never" : Bun.randomUUIDv7()]),
  ) as unknown as Things;
  for (const operation of KEYED.filter(({ rule }) => rule.thing !== undefined && rule.thing !== "key")) {
    const name = operation.id;
    expect([name, await status(operation, key)]).toEqual([name, 404]);
    expect([name, await status(operation, key, never)]).toEqual([name, 404]);
    if (operation.rule.endless !== true) {
      const mine = await status(operation, owner.key, await makeThings());
      expect([name, mine < 300 || mine === 409]).toEqual([name, true]);
    }
  }
});

test("what needs no key answers without one, and a wrong one changes nothing", async () => {
  for (const operation of OPERATIONS.filter(({ rule }) => rule.needs === "public")) {
    expect([operation.id, (await status(operation, undefined)) < 300]).toEqual([operation.id, true]);
    expect([operation.id, (await status(operation, "rnd_wrong")) < 300]).toEqual([operation.id, true]);
  }
  for (const operation of OPERATIONS.filter(({ rule }) => rule.needs === "signed")) {
    const answered = await status(operation, owner.key);
    expect([operation.id, answered === 401 || answered === 404]).toEqual([operation.id, true]);
  }
});
