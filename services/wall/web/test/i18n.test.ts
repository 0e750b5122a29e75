import { describe, expect, it } from "vitest";
import { REASON_VALUES } from "../src/api/generated.js";
import { problemText } from "../src/app/problem.js";
import { CATALOGUES, fillPlaces, isMessageKey, LANGUAGES, language, pickLanguage } from "../src/i18n/index.js";
import { BINDINGS } from "../src/model/keys.js";
import { reasonKey } from "../src/model/tile-status.js";

const places = (message: string) => [...message.matchAll(/\{(\w+)\}/g)].map((match) => match[1]).sort();

describe.each(LANGUAGES)("the catalogue of %s", (each) => {
  const own = CATALOGUES[each];

  it("has the same messages as the other languages", () => {
    for (const other of LANGUAGES) expect(Object.keys(own).sort()).toEqual(Object.keys(CATALOGUES[other]).sort());
  });

  it("leaves none empty, and fills the same places", () => {
    for (const [key, message] of Object.entries(own)) {
      expect(message.trim(), key).not.toBe("");
      if (isMessageKey(key)) expect(places(message), key).toEqual(places(CATALOGUES.en[key]));
    }
  });
});

describe("translations", () => {
  it("are not English in disguise", () => {
    const same = Object.entries(CATALOGUES.id).filter(
      ([key, text]) => isMessageKey(key) && CATALOGUES.en[key] === text,
    );
    expect(same.map(([key]) => key)).toEqual([
      "app.title",
      "role.operator",
      "role.supervisor",
      "role.admin",
      "form.id",
    ]);
  });

  it("name every reason that the server can give", () => {
    for (const reason of REASON_VALUES)
      if (reason !== "none") expect(isMessageKey(reasonKey(reason) ?? ""), reason).toBe(true);
  });

  it("name every key of the help", () => {
    for (const binding of BINDINGS) expect(isMessageKey(binding.label)).toBe(true);
  });
});

describe("the choice of a language", () => {
  it("follows the first wish that it understands, and falls back to English", () => {
    expect(pickLanguage([null, "id-ID", "en"])).toBe("id");
    expect(pickLanguage(["jv-ID", "in", "en"])).toBe("id");
    expect(pickLanguage(["de-DE", "fr"])).toBe("en");
    expect(pickLanguage([])).toBe("en");
    expect(pickLanguage(["en-US", "id"])).toBe("en");
  });

  it("leaves a place standing for which nothing was given", () => {
    expect(fillPlaces("a {b} {c}", { b: 1 })).toBe("a 1 {c}");
  });
});

describe("a failed request", () => {
  it.each(LANGUAGES)("is told in the page's language, not in the server's: %s", (each) => {
    language.set(each);
    expect(problemText({ code: "forbidden", status: 403 })).toBe(CATALOGUES[each]["problem.forbidden"]);
    expect(problemText({ code: "", status: 502 })).toContain("502");
    language.set("en");
  });
});
