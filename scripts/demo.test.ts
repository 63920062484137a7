import { describe, expect, test } from "bun:test";
import { rm } from "node:fs/promises";
import { isAlive, processesWith, untilDead } from "../test/support/processes.ts";
import { until } from "../test/support/until.ts";
import { formatProgress, makeBar } from "./demo-bar.ts";
import { readEvents } from "./demo-client.ts";

const progress = { stage: "encoding", progress: 50, fps: 120.4, speed: 4.81, eta_seconds: 2.1 };

async function read(...chunks: string[]) {
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(new TextEncoder().encode(chunk));
      controller.close();
    },
  });
  return Array.fromAsync(readEvents(body));
}

describe("readEvents", () => {
  test("reads events however they are cut, and passes over heartbeats", async () => {
    const events = await read(
      "retry: 2000\n\nid: 1\nevent: job.cre",
      'ated\ndata: {"seq":1}\n\n: heartbeat\n\nevent: p',
      'rogress\ndata: {"a":2}\n\n',
    );
    expect(events).toEqual([
      { type: "job.created", data: { seq: 1 } },
      { type: "progress", data: { a: 2 } },
    ]);
  });
});

describe("the progress line", () => {
  test("says stage, percent, rate and what is left", () => {
    expect(formatProgress(progress)).toBe(
      `encoding    ${"█".repeat(15)}${"░".repeat(15)}  50 %  120 fps, 4.8x, 3 s left`,
    );
    const bare = { stage: "probing", progress: 0, fps: null, speed: null, eta_seconds: null };
    expect(formatProgress(bare)).toBe(`probing     ${"░".repeat(30)}   0 %`);
  });

  test("is drawn over itself on a terminal, and ended by one line break", () => {
    const written: string[] = [];
    const bar = makeBar(true, (text) => written.push(text));
    bar.show(progress);
    bar.show(progress);
    bar.end();
    bar.end();
    expect(written).toHaveLength(3);
    expect(written[1]).toStartWith("\r\x1b[2K");
    expect(written[2]).toBe("\n");
  });

  test("elsewhere a line is written for each stage and each quarter", () => {
    const written: string[] = [];
    const bar = makeBar(false, (text) => written.push(text));
    for (const percent of [0, 10, 30, 40, 60]) bar.show({ ...progress, progress: percent });
    bar.show({ ...progress, stage: "verifying", progress: 60 });
    expect(written.map((line) => line.trim().split(" ")[0])).toEqual(["encoding", "encoding", "encoding", "verifying"]);
  });
});

describe("a demo that is killed", () => {
  test("takes its server with it", async () => {
    const text =
      'const s = await (await import("./scripts/demo-server.ts")).startServer(); console.log(s.pid, s.log); await s.exited;';
    const demo = Bun.spawn([process.execPath, "-e", text], { stdin: "ignore", stdout: "pipe", stderr: "inherit" });
    try {
      const reader = demo.stdout.getReader();
      const { value } = await reader.read();
      const [pid, log = ""] = new TextDecoder().decode(value).trim().split(" ");
      expect(isAlive(Number(pid))).toBe(true);
      demo.kill("SIGKILL");
      await untilDead(Number(pid), 20_000);
      const folder = log.replace(/\/[^/]+$/, "");
      await until(() => processesWith(folder).length === 0, { timeoutMs: 20_000 });
      await rm(folder, { recursive: true });
    } finally {
      demo.kill("SIGKILL");
    }
  }, 90_000);
});
