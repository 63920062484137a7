import { expect, test } from "bun:test";
import { languageCode, shortLanguage } from "./languages.ts";

test("a language is one, however it is written", () => {
  expect(["de", "deu", "ger", "de-AT", "DE"].map(shortLanguage)).toEqual(["de", "de", "de", "de", "de"]);
  expect(["zh-Hant", "chi", "fil"].map(shortLanguage)).toEqual(["zh", "zh", "fil"]);
  expect(["de", "deu", "de-at", "xx"].map(languageCode)).toEqual(["deu", "deu", "deu", null]);
});
