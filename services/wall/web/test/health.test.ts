import { describe, expect, it } from "vitest";
import type { CameraView, Status } from "../src/api/generated.js";
import { stateWords } from "../src/app/state-words.js";
import { language } from "../src/i18n/index.js";
import { lasting } from "../src/model/format.js";
import { grouped, healthLines, healthRows, statusCounts } from "../src/model/health.js";
import { rowWindow, scrollToRow } from "../src/model/row-window.js";
import { search } from "../src/model/search.js";
import { camera, cameraState, profileReport } from "./samples.js";

const with_ = (id: string, status: Status, since_us = 0, changes: Partial<CameraView> = {}) =>
  camera({ id, name: id, state: cameraState({ status, since_us }), ...changes });
const ids = (rows: readonly { camera: CameraView }[]) => rows.map((row) => row.camera.id);

describe("the health board", () => {
  it("puts the worst first, and of equally bad ones the one that is so for longest", () => {
    const all = [
      with_("well", "online", 5),
      with_("late", "offline", 90),
      with_("poor", "degraded", 1),
      with_("off", "online", 1, { enabled: false }),
      with_("early", "offline", 10),
      with_("whenever", "offline", 0),
      camera({ id: "new" }),
      with_("coming", "connecting", 3),
    ];
    const order = ["early", "late", "whenever", "poor", "coming", "new", "well", "off"];
    expect(ids(healthRows(all))).toEqual(order);
    expect(Object.fromEntries(statusCounts(healthRows(all)))).toMatchObject({ offline: 3, online: 1, disabled: 1 });
  });

  it("counts a camera as offline that a tile of this page sees standing still", () => {
    expect(healthRows([with_("a", "online")], new Map([["a", "stale"]]))[0]?.status).toBe("offline");
  });

  it("says since when, why, and when the last picture came, of any of its profiles", () => {
    const state = cameraState({ status: "offline", reason: "stalled", since_us: 2_000_000 });
    state.profiles = { main: profileReport({ last_frame_us: 0 }), sub: profileReport({ last_frame_us: 1_500_000 }) };
    const [row] = healthRows([camera({ state })]);
    expect(row).toMatchObject({ reason: "stalled", sinceMs: 2000, pictureMs: 1500 });
    const [unseen] = healthRows([camera({})]);
    expect(unseen).toMatchObject({ reason: "none", sinceMs: null, pictureMs: null });
    expect(healthRows([camera({ state, enabled: false })])[0]?.reason).toBe("disabled");
  });

  it("groups by label, site and recorder: a camera with two stands in both, one with none apart", () => {
    const all = [
      with_("a", "offline", 1, { tags: ["pasar", "utara"], site: "kota", recorders: ["rec-1"] }),
      with_("b", "online", 1, { tags: ["utara"], site: "mall" }),
      with_("c", "online", 1, { site: "kota", recorders: ["rec-1", "rec-2"] }),
      with_("d", "offline", 2, { tags: ["utara"], site: "kota" }),
    ];
    const rows = healthRows(all);
    const shape = (by: "tag" | "site" | "recorder") =>
      grouped(rows, by).map((group) => [group.name, group.faulty, ids(group.rows).join()]);
    expect(shape("tag")).toEqual([
      ["utara", 2, "a,d,b"],
      ["pasar", 1, "a"],
      ["", 0, "c"],
    ]);
    expect(shape("site")).toEqual([
      ["kota", 2, "a,d,c"],
      ["mall", 0, "b"],
    ]);
    expect(shape("recorder")).toEqual([
      ["", 1, "d,b"],
      ["rec-1", 1, "a,c"],
      ["rec-2", 0, "c"],
    ]);
    expect(healthLines(rows, "site", new Set(["kota"])).map(({ kind }) => kind)).toEqual(["group", "group", "camera"]);
    expect(healthLines(rows, "none")).toHaveLength(4);
  });

  it("says how long in the two largest units, in the page's language", () => {
    const hour = 3_600_000;
    expect(lasting(76 * hour + 5000, "en")).toBe("3 days 4 hours");
    expect(lasting(2 * hour + 300_000, "id")).toBe("2 jam 5 menit");
    expect(lasting(72 * hour, "en")).toBe("3 days");
    expect(lasting(999, "en")).toBe("0 seconds");
    expect(lasting(45_000, "id")).toBe("45 detik");
  });
});

describe("a search by state", () => {
  const all = [
    camera({ id: "a", name: "Ijen", state: cameraState({ status: "offline", reason: "unauthorized" }) }),
    camera({ id: "b", name: "Kawi", state: cameraState({ status: "degraded", reason: "frames-lost" }) }),
    camera({ id: "c", name: "Dieng", state: cameraState({ status: "online" }) }),
    camera({ id: "d", name: "Matahari" }),
  ];
  const find = (query: string) => search(all, query, (each) => stateWords(each, new Map())).map(({ id }) => id);

  it("finds what the page says of the cameras, in its language, with typing errors", () => {
    language.set("en");
    expect(find("offline")).toEqual(["a"]);
    expect(find("degradet")).toEqual(["b"]);
    expect(find("password")).toEqual(["a"]);
    expect(find("kawi degraded")).toEqual(["b"]);
    language.set("id");
    expect(find("aktif")).toEqual(["c"]);
    expect(find("terganggu")).toEqual(["b"]);
    expect(find("belum terlihat")).toEqual(["d"]);
    language.set("en");
  });
});

describe("the rows of a long list", () => {
  it("are those in view and a few around them, with the others' room kept", () => {
    expect(rowWindow(5000, 50, 0, 500)).toEqual({ from: 0, to: 24, abovePx: 0, belowPx: 4976 * 50 });
    const middle = rowWindow(5000, 50, 100_000, 500);
    expect(middle).toEqual({ from: 1986, to: 2024, abovePx: 1986 * 50, belowPx: 2976 * 50 });
    expect(rowWindow(5000, 50, 249_500, 500).to).toBe(5000);
    expect(rowWindow(3, 50, 9000, 500)).toEqual({ from: 0, to: 3, abovePx: 0, belowPx: 0 });
    expect(rowWindow(0, 50, 0, 500)).toEqual({ from: 0, to: 0, abovePx: 0, belowPx: 0 });
  });

  it("are scrolled to as little as possible", () => {
    expect(scrollToRow(10, 50, 0, 1000)).toBe(0);
    expect(scrollToRow(30, 50, 0, 1000)).toBe(550);
    expect(scrollToRow(2, 50, 500, 1000)).toBe(100);
  });
});
