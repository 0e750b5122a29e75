import { describe, expect, it } from "vitest";
import { ApiError } from "../src/api/client.js";
import type { ImportJob, ImportRow } from "../src/api/generated.js";
import { ImportRun } from "../src/app/import-run.js";
import { readCsv, writeCsv } from "../src/model/csv.js";
import { rowColumns } from "../src/model/import-rows.js";

const JOB: ImportJob = {
  id: "imp-1",
  status: "waiting",
  dry_run: false,
  actor: "ani",
  created_us: 1,
  finished_us: null,
  expires_us: 2,
  rows: 0,
  done: 0,
  added: 0,
  updated: 0,
  unchanged: 0,
  refused: 0,
  notes: [],
  ignored: [],
  detail: "",
};
const refused = (row: number): ImportRow => ({
  row,
  id: `cam-${row}`,
  result: "refused",
  detail: "",
  code: "invalid",
  column: "main_url",
});

/** A server that answers the job's questions in turn. */
function server(answers: (Partial<ImportJob> | ApiError)[]) {
  const ended: string[] = [];
  return {
    ended,
    startImport: async () => JOB,
    importJob: async (): Promise<ImportJob> => {
      const next = answers.shift() ?? {};
      if (next instanceof ApiError) throw next;
      return { ...JOB, ...next };
    },
    importRows: async (_id: string, result: ImportRow["result"], cursor: number | null) =>
      result === "refused"
        ? { rows: [refused(cursor === null ? 2 : 3)], next: cursor === null ? 1 : null }
        : { rows: [], next: 7 },
    endImport: async (id: string) => {
      ended.push(id);
    },
  };
}

const at_once = async () => undefined;

describe("an import", () => {
  it("tells how far it is, bears a server that answers late, and ends with the true sum and all refused rows", async () => {
    const api = server([
      { status: "running", rows: 2000, done: 700 },
      new ApiError(0, "no-answer", ""),
      new ApiError(503, "unavailable", ""),
      { status: "done", rows: 2000, done: 2000, added: 1998, refused: 2 },
    ]);
    const run = new ImportRun(api, at_once);
    const seen: (number | undefined)[] = [];
    run.job.subscribe((job) => seen.push(job?.done));
    const report = await run.run(new Blob(["name"]), false);
    expect(report).toMatchObject({ added: 1998, refused: 2 });
    expect(report?.rows.map(({ row }) => row)).toEqual([2, 3]);
    expect(seen).toEqual([0, 700, 2000, undefined]);
  });

  it("is called off, or fails with a reason", async () => {
    const api = server([{ status: "cancelled" }, { status: "failed", detail: "no columns" }]);
    const run = new ImportRun(api, async () => run.callOff());
    expect(await run.run(new Blob(["name"]), true)).toBeNull();
    expect(api.ended).toEqual(["imp-1"]);
    await expect(run.run(new Blob(["name"]), true)).rejects.toMatchObject({ code: "import-failed" });
    await run.callOff();
    expect(api.ended).toHaveLength(2);
    const lost = new ImportRun(server([new ApiError(404, "not-found", "")]), at_once);
    await expect(lost.run(new Blob(["name"]), true)).rejects.toMatchObject({ code: "not-found" });
  });
});

describe("a file of cameras", () => {
  it("is read with the marks that spreadsheets write, and written so that it reads the same", () => {
    const text = '\uFEFFname;main_url;address\r\n"Pasar ""Besar""";rtsp://a;"Jl. A;\nlantai 2"\r\n\r\nB;rtsp://b;\r\n';
    const table = readCsv(text);
    expect(table.header).toEqual(["name", "main_url", "address"]);
    expect(table.rows.map(({ line }) => line)).toEqual([2, 5]);
    expect(table.rows[0]?.cells).toEqual(['Pasar "Besar"', "rtsp://a", "Jl. A;\nlantai 2"]);
    expect(readCsv(writeCsv(table)).rows.map(({ cells }) => cells)).toEqual(table.rows.map(({ cells }) => cells));
    expect(readCsv("")).toEqual({ header: [], headerLine: 1, rows: [] });
  });

  it("shows the column that is refused by each of its names, else all of them", () => {
    expect(rowColumns(["Nama", "RTSP URL", "Lat"], "main_url")).toEqual([1]);
    expect(rowColumns(["nama", "rtsp", "lat"], "latitude")).toEqual([2]);
    expect(rowColumns(["nama", "retention"], "retention")).toEqual([1]);
    expect(rowColumns(["nama", "rtsp"], "")).toEqual([0, 1]);
    expect(rowColumns(["nama", "rtsp", "sub"], "profiles.sub.url")).toEqual([2]);
    expect(rowColumns(["nama", "rtsp", "transport"], "profiles.main.transport")).toEqual([2]);
    expect(rowColumns(["nama", "lintang"], "location.latitude")).toEqual([1]);
  });
});
