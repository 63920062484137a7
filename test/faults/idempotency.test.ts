/** One Idempotency-Key to two replicas at once, and replicas that are killed between the commit and the answer. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { testEnv } from "../support/env.ts";
import { type CommitHolder, holdCommits } from "../support/held-commit.ts";
import { asSuperuser } from "../support/postgres.ts";
import { makeKey, makeSite, NO_FFMPEG, type RunningServer, type Site, startServer } from "../support/server.ts";
import { until, within } from "../support/until.ts";

const REPLICAS = 2;
const REQUESTS = 50;
const ROUNDS = testEnv().long ? 100 : 5;
const START_MS = 60_000;

let site: Site;
let key: string;
const holders: CommitHolder[] = [];
const replicas: RunningServer[] = [];

const startReplica = (index: number): Promise<RunningServer> =>
  startServer(site, { RENDIFF_ROLE: "api", ...NO_FFMPEG, DATABASE_URL: holders[index]?.url ?? "" });

beforeAll(async () => {
  site = await makeSite("cluster");
  key = await makeKey(site);
  for (let index = 0; index < REPLICAS; index += 1) {
    holders.push(await holdCommits(site.env.DATABASE_URL ?? ""));
    replicas.push(await startReplica(index));
  }
}, START_MS);

afterAll(async () => {
  await Promise.all(replicas.map((replica) => replica[Symbol.asyncDispose]()));
});

interface Answer {
  readonly status: number;
  readonly replayed: boolean;
  readonly text: string;
}

/** Null: the replica died before it answered. */
async function submit(replica: number, idempotencyKey: string): Promise<Answer | null> {
  try {
    const response = await fetch(`${replicas[replica]?.url}/api/v1/convert`, {
      method: "POST",
      headers: { "x-api-key": key, "content-type": "application/json", "idempotency-key": idempotencyKey },
      body: JSON.stringify({ input: "in.mp4", output: `${idempotencyKey}.mp4`, metadata: { z: 1, a: [2.5, "ü"] } }),
      signal: AbortSignal.timeout(20_000),
    });
    const replayed = response.headers.get("idempotency-replayed") !== null;
    return { status: response.status, replayed, text: await response.text() };
  } catch {
    return null;
  }
}

const submitAll = (idempotencyKey: string): Promise<(Answer | null)[]> =>
  Promise.all(Array.from({ length: REQUESTS }, (_, index) => submit(index % REPLICAS, idempotencyKey)));

const jobsOf = (idempotencyKey: string): Promise<number> =>
  asSuperuser(async (sql) => {
    const [row] = await sql`SELECT count(*)::integer AS count FROM jobs
      WHERE spec ->> 'output' LIKE ${`%/${idempotencyKey}.mp4`}`;
    return row?.count as number;
  }, site.env.DATABASE_URL);

/** All that were answered: one thing was made, and everybody who was told of it was told the same. */
function requireOne(answers: readonly (Answer | null)[]): string {
  const given = answers.filter((answer) => answer !== null);
  expect(given.filter(({ status }) => status !== 201 && status !== 409)).toEqual([]);
  const made = given.filter(({ status }) => status === 201);
  const [text = ""] = made.map((answer) => answer.text);
  expect(new Set(made.map((answer) => answer.text)).size).toBeLessThanOrEqual(1);
  return text;
}

test(`${REQUESTS} at once to ${REPLICAS} replicas make one job, and its answer is the same for all`, async () => {
  for (let round = 0; round < ROUNDS; round += 1) {
    const name = `at-once-${round}`;
    const answers = await submitAll(name);
    const text = requireOne(answers);
    expect(answers.filter((answer) => answer?.status === 201 && !answer.replayed).length).toBe(1);
    for (let replica = 0; replica < REPLICAS; replica += 1) {
      expect(await submit(replica, name)).toEqual({ status: 201, replayed: true, text });
    }
    expect(await jobsOf(name)).toBe(1);
  }
});

test(
  `${ROUNDS} rounds of a kill between the commit and the answer: the heirs of the key give the answer that was never sent`,
  async () => {
    for (let round = 0; round < ROUNDS; round += 1) {
      const name = `killed-${round}`;
      const dying = Promise.race(holders.map((holder, index) => holder.hold(name).then(() => index)));
      const answers = submitAll(name);
      const index = await within(dying, 20_000, "a commit to be held");
      await replicas[index]?.kill();
      const first = await answers;
      const text = requireOne(first);
      // Whoever knew had died: what others were told, they read from the database.
      expect(first.filter((answer) => answer?.status === 201 && !answer.replayed)).toEqual([]);
      const restarted = startReplica(index);
      const survivor = (index + 1) % REPLICAS;
      const heir = await until(() => submit(survivor, name), { timeoutMs: 10_000, what: "the survivor to answer" });
      expect([heir.status, heir.replayed]).toEqual([201, true]);
      if (text !== "") expect(heir.text).toBe(text);
      replicas[index] = await restarted;
      expect(await submit(index, name)).toEqual(heir);
      expect(await jobsOf(name)).toBe(1);
    }
  },
  testEnv().long ? 900_000 : 60_000,
);
