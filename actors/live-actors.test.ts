import { expect, test } from "bun:test";
import { fromCallback, fromPromise, setup } from "xstate";
import { silentLogger } from "../test/support/silent-logger.ts";
import { liveActors } from "./live-actors.ts";
import { spawnRoot } from "./spawn-root.ts";

const child = setup({ actors: { work: fromPromise(() => new Promise<void>(() => {})) } }).createMachine({
  initial: "encoding",
  states: { encoding: { initial: "first", states: { first: { invoke: { id: "work", src: "work" } } } } },
});

const parent = setup({
  actors: { child, listen: fromCallback(() => {}), soon: fromPromise(async () => {}) },
}).createMachine({
  type: "parallel",
  invoke: [
    { id: "a", src: "child" },
    { id: "b", src: "listen" },
    { id: "ended", src: "soon" },
  ],
  states: { door: { initial: "open", states: { open: {} } }, light: { initial: "on", states: { on: {} } } },
});

test("every actor that lives is listed with its path and the state it is in, and none that has ended", async () => {
  const root = spawnRoot(parent, { id: "system", input: undefined, logger: silentLogger() });
  await Promise.resolve();
  expect(liveActors(root)).toEqual([
    { id: "system", state: "door.open+light.on" },
    { id: "a", state: "encoding.first" },
    { id: "a/work", state: "active" },
    { id: "b", state: "active" },
  ]);
  root.stop();
  expect(liveActors(root)).toEqual([]);
});
