/** CSV as spreadsheets write it (RFC 4180, or with semicolons or tabs): read for correction, and written again. */

export interface CsvRow {
  /** The line that it begins in, from 1. */
  line: number;
  cells: string[];
}

export interface CsvTable {
  header: string[];
  /** The line that the header begins in, from 1. */
  headerLine: number;
  rows: CsvRow[];
}

/** As the server reads a file: UTF-16 with its mark, UTF-8, else windows-1252. */
export function decodeCsv(bytes: ArrayBuffer): string {
  const [first, second] = new Uint8Array(bytes);
  if (first === 0xff && second === 0xfe) return new TextDecoder("utf-16le").decode(bytes);
  if (first === 0xfe && second === 0xff) return new TextDecoder("utf-16be").decode(bytes);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return new TextDecoder("windows-1252").decode(bytes);
  }
}

const LINE_END = /\r\n|\r|\n/;
/** What spreadsheets write before the header: empty rows, and Excel's line that names the delimiter. */
const PREAMBLE = /^(?:[ ,;\t\r\n]*[\r\n])?(?:"?sep=([,;\t])"?[ ,;\t\r\n]*[\r\n])?/i;

export function linesOf(text: string): string[] {
  return text.replace(/^\uFEFF/, "").split(LINE_END);
}

export function readCsv(text: string): CsvTable {
  const plain = text.replace(/^\uFEFF/, "");
  const [preamble = "", delimiter] = PREAMBLE.exec(plain) ?? [];
  const table = plain.slice(preamble.length);
  const headerLine = linesOf(preamble).length;
  const records = recordsOf(table, delimiter ?? delimiterOf(linesOf(table)[0] ?? ""), headerLine);
  const [header, ...rows] = records.filter(({ cells }) => cells.some((cell) => cell.trim() !== ""));
  return { header: header?.cells ?? [], headerLine, rows };
}

/** The commonest in the header, but not in its quotes. */
function delimiterOf(line: string): string {
  const bare = line.replace(/"[^"]*"/g, "");
  const count = (mark: string) => bare.split(mark).length;
  return [";", "\t"].reduce((best, mark) => (count(mark) > count(best) ? mark : best), ",");
}

function recordsOf(text: string, delimiter: string, firstLine: number): CsvRow[] {
  const found: CsvRow[] = [];
  let line = firstLine;
  let row: CsvRow = { line, cells: [] };
  let cell = "";
  let quoted = false;
  const endCell = () => {
    row.cells.push(cell.replace(/\r$/, ""));
    cell = "";
  };
  for (let i = 0; i < text.length; i++) {
    const mark = text[i];
    const ends = mark === "\n" || (mark === "\r" && text[i + 1] !== "\n");
    if (ends) line += 1;
    if (quoted && mark === '"' && text[i + 1] === '"') {
      cell += '"';
      i += 1;
    } else if (mark === '"' && quoted) quoted = false;
    else if (mark === '"' && cell.trim() === "") {
      // Spaces before a quote are skipped, as the server does.
      cell = "";
      quoted = true;
    } else if (!quoted && mark === delimiter) endCell();
    else if (!quoted && ends) {
      endCell();
      found.push(row);
      row = { line, cells: [] };
    } else cell += mark;
  }
  endCell();
  found.push(row);
  return found;
}

/** With commas; a cell that needs it in quotes. */
export function writeCsv({ header, rows }: Pick<CsvTable, "header" | "rows">): string {
  const quoted = (cell: string) => (/[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell);
  return [header, ...rows.map(({ cells }) => cells)].map((cells) => `${cells.map(quoted).join(",")}\r\n`).join("");
}
