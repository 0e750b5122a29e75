import { describe, expect, it } from "vitest";
import type { ImportReport, ImportRow } from "../src/api/generated.js";
import { CATALOGUES } from "../src/i18n/index.js";
import { decodeCsv, readCsv } from "../src/model/csv.js";
import { afterMending, refusedCsv, rowWords } from "../src/model/import-rows.js";

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

  it("begin with the header also where a spreadsheet wrote something before it", () => {
    const text = 'sep=;\r\nname;url;"a, b, c"\r\nA;x;1\r\nB;rtsp://b;2\r\n';
    expect(readCsv(text)).toMatchObject({ header: ["name", "url", "a, b, c"], headerLine: 2 });
    expect(readCsv(text).rows).toEqual([
      { line: 3, cells: ["A", "x", "1"] },
      { line: 4, cells: ["B", "rtsp://b", "2"] },
    ]);
    expect(refusedCsv(text, [row({ row: 3 })])).toBe('name;url;"a, b, c"\r\nA;x;1\r\n');
    expect(refusedCsv("\r\n;;\r\nname;url\r\nA;x\r\n", [row({ row: 4 })])).toBe("name;url\r\nA;x\r\n");
    expect(readCsv("sep=;\n\n;\nname;url\nA;x\n")).toMatchObject({ header: ["name", "url"], headerLine: 4 });
  });

  it("are found in files with the line ends of old Macs, and in UTF-16", () => {
    expect(readCsv("name,url\rA,x\rB,y").rows.map(({ line }) => line)).toEqual([2, 3]);
    const bytes = new Uint8Array([0xff, 0xfe, 0x41, 0, 0xe9, 0]);
    expect(decodeCsv(bytes.buffer)).toBe("A\u00e9");
  });
});

describe("refused rows that were corrected", () => {
  const report = (rows: ImportRow[]): ImportReport => ({
    added: rows.filter(({ result }) => result === "added").length,
    updated: 0,
    unchanged: 0,
    refused: rows.filter(({ result }) => result === "refused").length,
    notes: [],
    ignored: [],
    dry_run: false,
    rows,
  });

  it("leave the others in the report, each under its line in the file", () => {
    const before = report([row({ row: 2, id: "a" }), row({ row: 5, id: "b" }), row({ row: 9, id: "c" })]);
    const now = report([row({ row: 2, id: "b", result: "added" }), row({ row: 3, id: "c" })]);
    const lineOf = new Map([
      [2, 5],
      [3, 9],
    ]);
    const after = afterMending(before, now, lineOf);
    expect(after.rows.map(({ row: line, id, result }) => [line, id, result])).toEqual([
      [2, "a", "refused"],
      [5, "b", "added"],
      [9, "c", "refused"],
    ]);
    expect(after).toMatchObject({ added: 1, refused: 2 });
  });
});
