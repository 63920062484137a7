/** `options.reuse` through the API, from and to a folder and a bucket: taken over, or done again where it cannot be. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { copyFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Api, type Job, makeApi, type Output } from "../support/api.ts";
import { makeClip } from "../support/media.ts";
import { makeKey, makeSite, type RunningServer, type Site, startServer, untilClean } from "../support/server.ts";
import { ACCESS_KEY, SECRET_KEY, startStore } from "../support/stores.ts";
import { makeBucket } from "./s3-subject.ts";

const START_MS = 120_000;

let site: Site;
let server: RunningServer;
let api: Api;
let other: Api;

beforeAll(async () => {
  const base = await makeSite("embedded");
  const { url } = await startStore("minio");
  const config = join(base.folder, "storage.yml");
  const bucket = {
    type: "s3",
    endpoint: url,
    bucket: await makeBucket(url),
    conditional_writes: true,
    drops_unnamed_parts: true,
  };
  const names = { access_key_id_env: "STORE_KEY", secret_access_key_env: "STORE_SECRET" };
  const copying = { ...bucket, bucket: await makeBucket(url), checksums: false };
  await writeFile(
    config,
    JSON.stringify({ backends: { bucket: { ...bucket, ...names }, copying: { ...copying, ...names } } }),
  );
  const env = { ...base.env, STORAGE_CONFIG: config, STORE_KEY: ACCESS_KEY, STORE_SECRET: SECRET_KEY };
  site = { ...base, env };
  const [key, second] = [await makeKey(site), await makeKey(site)];
  server = await startServer(site);
  [api, other] = [makeApi(server.url, key), makeApi(server.url, second)];
}, START_MS);

afterAll(async () => {
  await server?.[Symbol.asyncDispose]();
});

let clips = 0;
/** A clip that no other test has, in the folder. */
async function putClip(): Promise<string> {
  const name = `in-${++clips}.mp4`;
  await copyFile(await makeClip({ durationSeconds: 0.5 + clips / 25, video: {}, audio: {} }), join(site.storage, name));
  return name;
}

const encode = (input: string, output: string, more: object = {}) => ({
  ...{ input, output, options: { reuse: true } },
  operations: [{ type: "transcode", video_codec: "h264", preset: "ultrafast", crf: 30 }],
  ...more,
});

const earlierOf = (job: Job): unknown =>
  (job as Job & { results: { reused_from?: string } | null }).results?.reused_from;
const sums = (outputs: readonly Output[]): string[] => outputs.map(({ sha256 }) => sha256);
const planned = async (job: Job): Promise<boolean> =>
  (await api.logs(job.id)).some(({ type }) => type === "job.planned");

/** What jobs have moved from and to storages through this process so far. */
async function bytesMoved(): Promise<number> {
  const text = await (await fetch(`${server.url}/metrics`)).text();
  const found = text.matchAll(/^rendiff_storage_transfer_bytes_total\{.*\} (\d+)$/gm);
  return [...found].reduce((sum, [, bytes]) => sum + Number(bytes), 0);
}

async function sumOfDownload({ download_url }: Output): Promise<string> {
  const response = await fetch(download_url ?? "");
  return new Bun.CryptoHasher("sha256").update(await response.arrayBuffer()).digest("hex");
}

describe("an earlier result", () => {
  for (const [from, to] of [
    ["a.mp4", "b.mp4"],
    ["a.mp4", "bucket://b.mp4"],
    ["bucket://a.mp4", "bucket://c.mp4"],
    ["bucket://a.mp4", "d.mp4"],
    ["copying://a.mp4", "copying://e.mp4"],
  ] as const) {
    test(`of ${from} becomes ${to} without any encoding, and the job says so`, async () => {
      const input = await putClip();
      const place = (uri: string) => uri.replace(/([^/]+)$/, `${input}-$1`);
      const first = await api.completed(encode(input, place(from), { options: {} }));
      const before = await bytesMoved();
      const second = await api.completed(encode(input, place(to)));
      expect(earlierOf(second)).toBe(first.id);
      // What stays in a store is copied by it, but for MinIO where uploads have checksums.
      const [store, other] = [from, to].map((uri) => /^(\w+):/.exec(uri)?.[1] ?? "folder");
      expect((await bytesMoved()) === before).toBe(store === other && store !== "bucket");
      expect([await planned(first), await planned(second)]).toEqual([true, false]);
      const [made] = await api.outputs(second.id);
      expect(sums(second.outputs)).toEqual(sums(first.outputs));
      expect(await sumOfDownload(made as Output)).toBe(first.outputs[0]?.sha256 as string);
      expect(made?.media).toEqual(first.outputs[0]?.media as Output["media"]);
      await untilClean(site);
    });
  }

  test("is found by the input's bytes too, wherever a copy of them lies", async () => {
    const input = await putClip();
    const first = await api.completed(encode(input, "sum-1.mp4"));
    await copyFile(join(site.storage, input), join(site.storage, "copy.mp4"));
    const second = await api.completed(encode("copy.mp4", "sum-2.mp4"));
    expect([earlierOf(first), earlierOf(second)]).toEqual([undefined, first.id]);
  });

  test("comes with its further files under their names, and with what was measured", async () => {
    const input = await putClip();
    const operations = [
      { type: "audio", normalize: true },
      { type: "thumbnail", time: 0, output: "cover.jpg" },
    ];
    const first = await api.completed(encode(input, "set-1/film.mp4", { operations }));
    const second = await api.completed(encode(input, "set-2/film.mp4", { operations }));
    expect(earlierOf(second)).toBe(first.id);
    expect(second.outputs.map(({ uri }) => uri)).toEqual(first.outputs.map(({ uri }) => uri.replace("set-1", "set-2")));
    expect(sums(second.outputs)).toEqual(sums(first.outputs));
    const results = (job: Job) => (job as Job & { results: { loudness: unknown } }).results.loudness;
    expect(results(second)).toEqual(results(first));
  });

  test("is a package that plays under its new name", async () => {
    const input = await putClip();
    const body = (output: string) => ({ input, output, format: "hls", segment_duration: 1, options: { reuse: true } });
    const stream = async (output: string) => {
      const { body: made } = await api.call<Job>("POST", "/stream", body(output));
      return await api.ended(made.id);
    };
    const [first, second] = [await stream("pack-1/film"), await stream("pack-2/film")];
    expect([first.status, second.status, earlierOf(second)]).toEqual(["completed", "completed", first.id]);
    const files = (job: Job, folder: string) => job.outputs.map(({ uri, sha256 }) => [uri.replace(folder, ""), sha256]);
    expect(files(second, "pack-2").toSorted()).toEqual(files(first, "pack-1").toSorted());
  });
});

describe("the work is done again", () => {
  const again = async (body: object, as = api): Promise<Job> => {
    const job = await as.completed(body);
    expect(earlierOf(job)).toBeUndefined();
    return job;
  };

  test("for another key: nobody learns what others have made", async () => {
    const input = await putClip();
    await api.completed(encode(input, "mine.mp4"));
    await again(encode(input, "theirs.mp4"), other);
  });

  test("unless it is asked for", async () => {
    const input = await putClip();
    await api.completed(encode(input, "asked.mp4"));
    await again(encode(input, "unasked.mp4", { options: {} }));
  });

  test("for another spec, and for another input of that name", async () => {
    const input = await putClip();
    await api.completed(encode(input, "spec.mp4"));
    await again(encode(input, "spec.mkv"));
    const clip = await makeClip({ durationSeconds: 1, video: { width: 96 } });
    await copyFile(clip, join(site.storage, input));
    const changed = await again(encode(input, "spec-2.mp4"));
    expect(changed.outputs[0]?.media.streams[0]?.width).toBe(96);
  });

  test("when the earlier output was deleted, changed or replaced, in the folder and in the bucket", async () => {
    const input = await putClip();
    const gone = await api.completed(encode(input, "bucket://gone.mp4"));
    expect((await api.call("DELETE", `/jobs/${gone.id}/outputs`)).status).toBe(200);
    const here = await again(encode(input, "here.mp4"));
    await writeFile(join(site.storage, "here.mp4"), "other bytes");
    const there = await again(encode(input, "there.mp4"));
    await rename(join(site.storage, "there.mp4"), join(site.storage, "moved.mp4"));
    const last = await again(encode(input, "last.mp4"));
    expect(new Set([here, there, last].map(({ outputs }) => outputs[0]?.media.duration_seconds)).size).toBe(1);
    await rm(join(site.storage, "last.mp4"));
  });
});

test("what exists is not written over where that is ruled out", async () => {
  const input = await putClip();
  await api.completed(encode(input, "exists.mp4"));
  const failure = await api.failed(encode(input, "exists.mp4", { options: { reuse: true, overwrite: false } }));
  expect(failure.kind).toBe("output.exists");
});

test("an encrypted package is refused by name, and so is what is no yes or no", async () => {
  const base = { input: await putClip(), output: "secret" };
  const body = { ...base, format: "hls", container: "ts", encryption: "aes-128", options: { reuse: true } };
  const refused = await api.call<{ error: { code: string; details: { path: string }[] } }>("POST", "/stream", body);
  expect([refused.status, refused.body.error.code]).toEqual([422, "UNSUPPORTED"]);
  expect(refused.body.error.details[0]?.path).toBe("options.reuse");
  const wrong = await api.call("POST", "/convert", encode("in.mp4", "out.mp4", { options: { reuse: "yes" } }));
  expect(wrong.status).toBe(400);
});
