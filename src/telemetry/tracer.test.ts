import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { JobId } from "../jobs/types.ts";
import { makeSampler } from "./samplers.ts";
import { jobTrace, parseTraceparent, spanIdOf, toTraceparent } from "./trace-context.ts";
import { type FinishedSpan, makeTracer } from "./tracer.ts";

const GOOD = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const JOB = "01912d68-783e-7a03-8467-5661c1243ad4" as JobId;

describe("traceparent", () => {
  test("is read and written as the recommendation says", () => {
    const context = parseTraceparent(GOOD);
    expect(context).toMatchObject({ spanId: "00f067aa0ba902b7", sampled: true });
    expect(context === null ? null : toTraceparent(context)).toBe(GOOD);
    expect(parseTraceparent(GOOD.replace(/01$/, "02"))?.sampled).toBe(false);
    // A later version may say more.
    expect(parseTraceparent(`${GOOD.replace(/^00/, "cc")}-what-the-future-has`)).not.toBeNull();
  });

  test.each([
    ["", "nothing"],
    [`${GOOD}-more`, "more than version 00 has"],
    [GOOD.replace(/^00/, "ff"), "the version that cannot be"],
    [GOOD.toUpperCase(), "capitals"],
    ["00-00000000000000000000000000000000-00f067aa0ba902b7-01", "no trace"],
    ["00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", "no span"],
    [GOOD.slice(0, -1), "too short"],
  ])("%p is ignored: %s", (text) => {
    expect(parseTraceparent(text)).toBeNull();
  });

  test("of a job follows from its id and its request alone", () => {
    const one = jobTrace({ id: JOB, traceparent: GOOD });
    expect(one).toEqual(jobTrace({ id: JOB, traceparent: GOOD }));
    expect(one?.parentSpanId).toBe("00f067aa0ba902b7");
    expect(jobTrace({ id: JOB, traceparent: null })).toBeNull();
    fc.assert(fc.property(fc.string(), (name) => /^(?!0{16})[0-9a-f]{16}$/.test(spanIdOf(name))));
  });
});

describe("samplers", () => {
  const parent = (sampled: boolean) => ({ traceId: "1".repeat(32), spanId: "1", sampled, parentSpanId: null });
  const ids = Array.from({ length: 2_000 }, () => crypto.randomUUID().replaceAll("-", ""));
  const share = (name: Parameters<typeof makeSampler>[0], ratio: number) =>
    ids.filter((id) => makeSampler(name, ratio)(null, id)).length / ids.length;

  test("go by the parent, by a ratio, or by neither", () => {
    expect([share("always_on", 0), share("always_off", 1), share("parentbased_always_off", 1)]).toEqual([1, 0, 0]);
    expect(share("traceidratio", 0.25)).toBeWithin(0.18, 0.32);
    expect([share("traceidratio", 0), share("traceidratio", 1)]).toEqual([0, 1]);
    expect(makeSampler("parentbased_always_off", 0)(parent(true), "")).toBe(true);
    expect(makeSampler("parentbased_always_on", 1)(parent(false), "")).toBe(false);
    expect(makeSampler("always_on", 1)(parent(false), ids[0] ?? "")).toBe(true);
  });

  test("every replica decides alike about one trace", () => {
    const [one, two] = [makeSampler("traceidratio", 0.5), makeSampler("parentbased_traceidratio", 0.5)];
    for (const id of ids) expect(one(null, id)).toBe(two(null, id));
  });
});

describe("a tracer", () => {
  test("without a sink passes a client's trace on, and begins none", () => {
    const tracer = makeTracer({ sink: null });
    expect(tracer.requestBegan(null)).toBeNull();
    expect(tracer.requestBegan(GOOD)).toEqual(parseTraceparent(GOOD));
  });

  test("hands over what is sampled only", () => {
    const spans: FinishedSpan[] = [];
    const tracer = makeTracer({ sink: { emit: (span) => void spans.push(span), close: async () => {} } });
    for (const header of [null, GOOD, GOOD.replace(/01$/, "00")]) {
      const trace = tracer.requestBegan(header);
      tracer.requestEnded({
        ...{ trace, startedAtMs: 1, method: "GET", route: "jobs.list", path: "/jobs", status: 503, requestId: "r" },
      });
    }
    expect(spans.map(({ context }) => context.parentSpanId)).toEqual([null, "00f067aa0ba902b7"]);
    expect(spans[0]).toMatchObject({ name: "GET /jobs", kind: "server", error: "503" });
  });
});
