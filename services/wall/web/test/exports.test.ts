import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { ExportRequest, ExportView } from "../src/api/generated.js";
import { Exports } from "../src/app/exports.js";

const WANTED: ExportRequest = {
  kind: "clip",
  cameras: ["cam-1"],
  from: "2026-01-01T00:00:00Z",
  to: "2026-01-01T00:01:00Z",
};

function job(id: string, status: ExportView["status"]): ExportView {
  const file = { name: "a.mp4", media_type: "video/mp4", size_bytes: 1, sha256: "", url: `/file/${id}` };
  return {
    ...{
      id,
      status,
      kind: "clip",
      progress: 0,
      code: "",
      detail: "",
      cameras: [],
      profile: "main",
      reason: "",
      incident: "",
    },
    ...{ from: WANTED.from, to: WANTED.to, burn_in: false, conversion: "", made_up: false, left_out: [] },
    ...{ actor: "ani", created: "", expires: "" },
    finished: null,
    file: status === "done" ? file : null,
  };
}

describe("exports", () => {
  let answers: ExportView[];
  let reads: number;
  let ended: string[];
  let downloads: string[];
  let exports: Exports;

  beforeEach(() => {
    vi.useFakeTimers();
    [answers, reads, ended, downloads] = [[], 0, [], []];
    const api = {
      exports: async () => {
        reads += 1;
        return answers;
      },
      addExport: async () => job("new", "waiting"),
      endExport: async (id: string) => {
        ended.push(id);
      },
    };
    exports = new Exports(api, (url) => downloads.push(url));
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it("are followed to their end, and downloaded once where this page began them", async () => {
    answers = [job("new", "running"), job("old", "done")];
    await exports.start([WANTED]);
    expect(exports.jobs.value.map(({ id }) => id)).toEqual(["new"]);
    await vi.advanceTimersByTimeAsync(3000);
    expect(reads).toBeGreaterThan(2);
    expect(downloads).toEqual([]);
    answers = [job("new", "done"), job("old", "done")];
    await vi.advanceTimersByTimeAsync(2000);
    expect(downloads).toEqual(["/file/new"]);
    const before = reads;
    await vi.advanceTimersByTimeAsync(120_000);
    expect([reads, downloads]).toEqual([before, ["/file/new"]]);
  });

  it("are read now and then while somebody looks at them", async () => {
    const end = exports.follow();
    await vi.advanceTimersByTimeAsync(65_000);
    expect(reads).toBe(3);
    end();
    await vi.advanceTimersByTimeAsync(65_000);
    expect(reads).toBe(3);
  });

  it("that are ended are not downloaded, and gone from the list where they were over", async () => {
    await exports.start([WANTED]);
    await exports.end(job("new", "waiting"));
    answers = [job("new", "done"), job("old", "done")];
    await vi.advanceTimersByTimeAsync(2000);
    await exports.end(job("old", "done"));
    expect(exports.jobs.value.map(({ id }) => id)).toEqual(["new"]);
    expect([ended, downloads]).toEqual([["new", "old"], []]);
  });
});
