/** CSV as spreadsheets write it (RFC 4180, or with semicolons or tabs): read for correction, and written again. */

export interface CsvRow {
  /** The line that it begins in, from 1; the header's is 1. */
  line: number;
  cells: string[];
}

export interface CsvTable {
  header: string[];
  rows: CsvRow[];
}

/** As the server reads a file: UTF-8, else windows-1252. */
export function decodeCsv(bytes: ArrayBuffer): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return new TextDecoder("windows-1252").decode(bytes);
  }
}

export function readCsv(text: string): CsvTable {
  const plain = text.replace(/^\uFEFF/, "");
  const records = recordsOf(plain, delimiterOf(plain.split("\n", 1)[0] ?? ""));
  const [header, ...rows] = records.filter(({ cells }) => cells.some((cell) => cell.trim() !== ""));
  return { header: header?.cells ?? [], rows };
}

function delimiterOf(line: string): string {
  const count = (mark: string) => line.split(mark).length;
  return [";", "\t"].reduce((best, mark) => (count(mark) > count(best) ? mark : best), ",");
}

function recordsOf(text: string, delimiter: string): CsvRow[] {
  const found: CsvRow[] = [];
  let line = 1;
  let row: CsvRow = { line, cells: [] };
  let cell = "";
  let quoted = false;
  const endCell = () => {
    row.cells.push(cell.replace(/\r$/, ""));
    cell = "";
  };
  for (let i = 0; i < text.length; i++) {
    const mark = text[i];
    if (mark === "\n") line += 1;
    if (quoted && mark === '"' && text[i + 1] === '"') {
      cell += '"';
      i += 1;
    } else if (mark === '"' && quoted) quoted = false;
    else if (mark === '"' && cell.trim() === "") {
      // Spaces before a quote are skipped, as the server does.
      cell = "";
      quoted = true;
    } else if (!quoted && mark === delimiter) endCell();
    else if (!quoted && mark === "\n") {
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
export function writeCsv({ header, rows }: CsvTable): string {
  const quoted = (cell: string) => (/[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell);
  return [header, ...rows.map(({ cells }) => cells)].map((cells) => `${cells.map(quoted).join(",")}\r\n`).join("");
}
