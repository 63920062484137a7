import { expect, test } from "bun:test";
import { isSampledBy } from "./samples.ts";

test("a film is sampled where its plan says only if it lies there", () => {
  const film = { startSeconds: 0, durationSeconds: 30 };
  expect(isSampledBy(film, 30)).toBe(true);
  expect(isSampledBy(film, 30.4)).toBe(true);
  // A window after its end would find nothing, and one before its last second would miss it.
  expect(isSampledBy(film, 31)).toBe(false);
  expect(isSampledBy(film, 29)).toBe(false);
  // As MPEG-TS begins; a film that begins later has its middle elsewhere.
  expect(isSampledBy({ ...film, startSeconds: 1.4 }, 30)).toBe(true);
  expect(isSampledBy({ ...film, startSeconds: 10 }, 30)).toBe(false);
  expect(isSampledBy({ ...film, durationSeconds: null }, 30)).toBe(false);
  expect(isSampledBy(film, null)).toBe(false);
});
