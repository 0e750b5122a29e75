/** An import's report in words, and the refused rows as a file to correct. */

import type { ImportReport, ImportRow } from "../api/generated.js";
import type { MessageKey } from "../i18n/index.js";
import { labelOf } from "./camera-form.js";
import { linesOf, readCsv } from "./csv.js";

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

/** The server's names of fields that are no columns, such as `profiles.main.url`, and of which column each is. */
const FIELD_COLUMN: readonly (readonly [RegExp, string])[] = [
  [/^profiles\.\w+\.(transport|reader)$/, "$1"],
  [/^profiles\.(main|sub)\b.*/, "$1_url"],
  [/^(?:location|credentials)\./, ""],
];

/** The places in a file's header of the column that is refused; of all columns where that is none or not found. */
export function rowColumns(header: readonly string[], column: string): number[] {
  const plain = (name: string) =>
    name
      .trim()
      .toLowerCase()
      .replace(/[\s-]+/g, "_");
  const named = FIELD_COLUMN.reduce((name, [field, as]) => name.replace(field, as), column);
  const wanted = SAME_COLUMN[named] ?? { test: (name: string) => name === named };
  const found = header.flatMap((name, i) => (column !== "" && wanted.test(plain(name)) ? [i] : []));
  return found.length > 0 ? found : header.map((_, i) => i);
}

/** The header and the refused lines of a CSV file, for a spreadsheet; `row` counts lines from 1. */
export function refusedCsv(text: string, rows: readonly ImportRow[]): string {
  const lines = linesOf(text);
  // Of the file, not of the report: that does not name every row.
  const { headerLine, rows: all } = readCsv(text);
  const begins = all.map(({ line }) => line);
  // A quoted cell may go over several lines: a row ends where the next one begins.
  const rowAt = (line: number) => {
    const next = begins.find((begin) => begin > line) ?? lines.length + 1;
    return lines.slice(line - 1, next - 1).filter((each) => each.trim() !== "");
  };
  const refused = rows.filter(({ result }) => result === "refused").flatMap(({ row }) => rowAt(row));
  return [...rowAt(headerLine), ...refused, ""].join("\r\n");
}

/**
 * The report of a file of which some refused rows were corrected and imported: the others are still refused. `lineOf`
 * gives a corrected row's line in the file.
 */
export function afterMending(
  before: ImportReport,
  now: ImportReport,
  lineOf: ReadonlyMap<number, number>,
): ImportReport {
  const mended = new Set(lineOf.values());
  const left = before.rows.filter(({ result, row }) => result === "refused" && !mended.has(row));
  const rows = now.rows.map((each) => ({ ...each, row: lineOf.get(each.row) ?? each.row }));
  return { ...now, refused: now.refused + left.length, rows: [...left, ...rows] };
}
