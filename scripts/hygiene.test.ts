import { expect, test } from "bun:test";
import { findIn, registryHosts } from "./hygiene.ts";

const path = "docs/a.md";

test("finds paths of one machine", () => {
  const text = [
    "fine: /usr/bin/ffmpeg",
    `cd ${["/wo", "rk/"].join("")}main`,
    `${["/home", "/someone"].join("")}/x`,
  ].join("\n");
  expect(findIn(path, text, []).map(({ line }) => line)).toEqual([2, 3]);
});

test("finds package registries, the public ones and this machine's own", () => {
  const text = [`https://${["registry.npm", "js.org"].join("")}/bun`, "https://mirror.example/npm"].join("\n");
  expect(findIn(path, text, ["mirror.example"]).map(({ line }) => line)).toEqual([1, 2]);
  expect(findIn(path, text, []).map(({ line }) => line)).toEqual([1]);
});

test("reads the registries' hosts from the variables that say so, without what is secret in them", () => {
  const env = {
    npm_config_registry: "https://user:secret@mirror.example:8443/npm/",
    GOPROXY: "https://go.example,direct",
    OTHER: "https://other.example",
  };
  expect(registryHosts(env)).toEqual(["mirror.example:8443", "go.example"]);
});
