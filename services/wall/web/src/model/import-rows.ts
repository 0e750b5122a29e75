/** An import's report in words, and the refused rows as a file to correct. */

import type { ImportRow } from "../api/generated.js";
import type { MessageKey } from "../i18n/index.js";
import { labelOf } from "./camera-form.js";
import { readCsv } from "./csv.js";

export interface RowWords {
  key: MessageKey;
  /** The form's fields that it is about. */
  labels: MessageKey[];
}

/** What to say of a row; null where there is nothing to say. */
export function rowWords({ result, detail, code, column }: ImportRow): RowWords | null {
  if (result === "updated") {
    const fields = detail.split(", ").filter(Boolean);
    return { key: "import.changed", labels: [...new Set(fields.map(labelOf))] };
  }
  if (result !== "refused") return null;
  const label = column === "" ? [] : [labelOf(column)];
  if (code === "" || code === "invalid")
    return { key: label.length > 0 ? "import.invalid" : "import.invalid.any", labels: label };
  return { key: `import.${code}`, labels: label };
}

const SAME_COLUMN: Readonly<Record<string, RegExp>> = {
  id: /^(id|camera_id|camera|kode|code)$/,
  name: /^(name|nama|camera_name|nama_kamera|title)$/,
  main_url: /^(main_url|url|main|rtsp|rtsp_url|stream|stream_url|source)$/,
  sub_url: /^(sub_url|sub|substream|sub_stream|url_sub)$/,
  latitude: /^(latitude|lat|lintang)$/,
  longitude: /^(longitude|lon|lng|long|bujur)$/,
  bearing: /^(bearing|heading|azimuth|arah)$/,
};

/** The places in a file's header of the column that is refused; of all columns where that is none or not found. */
export function rowColumns(header: readonly string[], column: string): number[] {
  const plain = (name: string) =>
    name
      .trim()
      .toLowerCase()
      .replace(/[\s-]+/g, "_");
  const wanted = SAME_COLUMN[column] ?? { test: (name: string) => name === column };
  const found = header.flatMap((name, i) => (column !== "" && wanted.test(plain(name)) ? [i] : []));
  return found.length > 0 ? found : header.map((_, i) => i);
}

/** The header and the refused lines of a CSV file, for a spreadsheet; `row` counts lines from 1. */
export function refusedCsv(text: string, rows: readonly ImportRow[]): string {
  const lines = text.replace(/^\uFEFF/, "").split(/\r?\n/);
  // Of the file, not of the report: that does not name every row.
  const begins = readCsv(text).rows.map(({ line }) => line);
  const kept = rows
    .filter(({ result }) => result === "refused")
    .flatMap(({ row }) => {
      // A quoted cell may go over several lines: a row ends where the next one begins.
      const next = begins.find((begin) => begin > row) ?? lines.length + 1;
      return lines.slice(row - 1, next - 1).filter((line) => line.trim() !== "");
    });
  return [lines[0] ?? "", ...kept, ""].join("\r\n");
}
