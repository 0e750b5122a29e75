import { describe, expect, it } from "vitest";
import type { ImportRow } from "../src/api/generated.js";
import { CATALOGUES } from "../src/i18n/index.js";
import { refusedCsv, rowWords } from "../src/model/import-rows.js";

const row = (changes: Partial<ImportRow>): ImportRow => ({
  row: 2,
  id: "a",
  result: "refused",
  detail: "",
  code: "",
  column: "",
  ...changes,
});

describe("a row of an import", () => {
  it.each([
    [{ code: "no-boolean", column: "enabled" }, "import.no-boolean", ["form.enabled"]],
    [{ code: "invalid", column: "profiles.main.url" }, "import.invalid", ["form.main"]],
    [{ code: "invalid" }, "import.invalid.any", []],
    [{ code: "same-camera" }, "import.same-camera", []],
    [{ result: "updated", detail: "name, profiles, profiles" }, "import.changed", ["form.name", "form.main"]],
  ] as const)("%j is said as %s about %j", (changes, key, labels) => {
    expect(rowWords(row(changes))).toEqual({ key, labels });
  });

  it("says every reason in both languages, and nothing of a row that went well", () => {
    const codes = [
      "",
      "cells",
      "no-object",
      "no-camera",
      "same-camera",
      "password-alone",
      "no-boolean",
      "no-degrees",
    ] as const;
    for (const code of [...codes, "invalid", "conflict", "unavailable"] as const) {
      const key = rowWords(row({ code }))?.key;
      for (const catalogue of Object.values(CATALOGUES)) expect(key && catalogue[key], code).toBeTruthy();
    }
    expect(rowWords(row({ result: "added" }))).toBeNull();
  });
});

describe("the refused rows as a file", () => {
  it("are the header and their own lines, also over several", () => {
    const text = '\uFEFFname,url\r\nA,rtsp://a\r\nB,"x\r\ny"\r\nC,rtsp://c\r\n';
    const rows = [row({ row: 2, result: "added" }), row({ row: 3 }), row({ row: 5, result: "added" })];
    expect(refusedCsv(text, rows)).toBe('name,url\r\nB,"x\r\ny"\r\n');
    expect(refusedCsv(text, [row({ row: 5 })])).toBe("name,url\r\nC,rtsp://c\r\n");
  });

  it("leave out what follows them and is not in the report, such as unchanged rows", () => {
    expect(refusedCsv("name,url\nA,x\nB,rtsp://b\nC,y\n", [row({ row: 2 }), row({ row: 4 })])).toBe(
      "name,url\r\nA,x\r\nC,y\r\n",
    );
  });
});
