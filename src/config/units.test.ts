import { describe, expect, test } from "bun:test";
import {
  parseBitrate,
  parseBoolean,
  parseBytes,
  parseDurationMs,
  parseList,
  parsePercent,
  parsePerMinute,
  parseResolution,
} from "./units.ts";

type Case = readonly [text: string, wanted: unknown];

const cases: Readonly<Record<string, readonly [parse: (text: string) => unknown, cases: readonly Case[]]>> = {
  bytes: [
    parseBytes,
    [
      ["10GB", 10_000_000_000],
      ["10GiB", 10_737_418_240],
      ["10 gib", 10_737_418_240],
      ["1.5MB", 1_500_000],
      ["0.5KiB", 512],
      ["1B", 1],
      ["2TB", 2_000_000_000_000],
      ["1024", 1024],
      ["0", 0],
      ["", null],
      ["GB", null],
      ["-1GB", null],
      ["1.5", null],
      ["10G", null],
      ["10 Gbps", null],
      ["1e9", null],
      ["10GB20MB", null],
      ["99999999999TB", null],
      ["999999999999999999999999B", null],
    ],
  ],
  duration: [
    parseDurationMs,
    [
      ["500ms", 500],
      ["30s", 30_000],
      ["10m", 600_000],
      ["10min", 600_000],
      ["24h", 86_400_000],
      ["30d", 2_592_000_000],
      ["2w", 1_209_600_000],
      ["1.5s", 1_500],
      ["1h30m", 5_400_000],
      ["30 s", 30_000],
      ["0", 0],
      ["0s", 0],
      ["30", null],
      ["s", null],
      ["-5s", null],
      ["5s later", null],
      ["5x", null],
      ["never", null],
      ["", null],
      ["1h 30m", null],
    ],
  ],
  bitrate: [
    parseBitrate,
    [
      ["100Mbps", 100_000_000],
      ["800kbps", 800_000],
      ["1.5 Gbps", 1_500_000_000],
      ["100", null],
      ["100MB", null],
    ],
  ],
  perMinute: [
    parsePerMinute,
    [
      ["600/min", 600],
      ["10/s", 600],
      ["6000/h", 100],
      ["5 / minute", 5],
      ["1/h", null],
      ["600", null],
      ["1.5/min", null],
      ["600/day", null],
    ],
  ],
  percent: [
    parsePercent,
    [
      ["80%", 80],
      ["0.5%", 0.5],
      ["100%", 100],
      ["101%", null],
      ["0%", null],
      ["80", null],
    ],
  ],
  resolution: [
    parseResolution,
    [
      ["7680x4320", { width: 7680, height: 4320 }],
      ["1920X1080", { width: 1920, height: 1080 }],
      ["1920", null],
      ["1920x", null],
      ["-1x2", null],
    ],
  ],
  boolean: [
    parseBoolean,
    [
      ["true", true],
      ["YES", true],
      ["1", true],
      ["off", false],
      ["False", false],
      ["", null],
      ["maybe", null],
    ],
  ],
  list: [
    parseList,
    [
      ["a, b,,c ", ["a", "b", "c"]],
      [" , ", []],
    ],
  ],
};

for (const [name, [parse, list]] of Object.entries(cases)) {
  describe(name, () => {
    test.each([...list])("%p is %p", (text, wanted) => {
      expect(parse(text)).toEqual(wanted as never);
    });
  });
}
