import { describe, expect, it } from "vitest";
import type { CameraView } from "../src/api/generated.js";
import { camerasAt, momentOfFields, parsePoint, pointText, STILLS, stillMoments } from "../src/model/place-time.js";
import { almostBegins, search } from "../src/model/search.js";
import { camera } from "./samples.js";

const NOW_MS = Date.UTC(2026, 10, 29, 14);
const at = (id: string, name: string, latitude: number | null = null, longitude: number | null = null): CameraView =>
  camera({ id, name, location: { address: "", latitude, longitude, bearing: null } });
const ids = (cameras: CameraView[]) => cameras.map(({ id }) => id);

describe("a search", () => {
  const all = [
    at("cam-1", "Simpang Dieng, Malang"),
    at("cam-2", "Jl. Soekarno-Hatta, Malang"),
    at("cam-3", "Alun-Alun Tugu"),
    at("cam-12", "Jl. Dieng Atas"),
  ];

  it.each([
    ["dieng", ["cam-1", "cam-12"]],
    ["simpang dieng", ["cam-1"]],
    ["hatta", ["cam-2"]],
    ["cam-12", ["cam-12"]],
    ["dieg", ["cam-1", "cam-12"]],
    ["deing", ["cam-1", "cam-12"]],
    ["sukarno", ["cam-2"]],
    ["soekarnohatta", []],
    ["cam-99", []],
    ["xyz", []],
  ])("for %s finds %j, typing errors forgiven where nothing else fits", (query, expected) => {
    expect(ids(search(all, query))).toEqual(expected);
  });

  it("without words finds all, and forgives no error in short words and numbers", () => {
    expect(search(all, " ")).toHaveLength(4);
    expect(search(all, "tuu")).toEqual([]);
    expect(almostBegins("dieng", "dieng", 0)).toBe(true);
    expect(almostBegins("die", "dieng", 1)).toBe(false);
    expect(almostBegins("", "a", 0)).toBe(false);
  });
});

describe("place and time", () => {
  it("names the cameras there, then their neighbours, the nearest first", () => {
    const all = [
      at("far", "Alun-Alun", -7.98, 112.63),
      at("b", "Jl. Kawi", -7.9702, 112.62),
      at("a", "Jl. Langsep", -7.9701, 112.62),
      at("dieng", "Simpang Dieng", -7.97, 112.62),
      at("unknown", "Jl. Dieng Atas"),
    ];
    const found = camerasAt(all, "dieng");
    expect(found.map((each) => each.camera.id)).toEqual(["dieng", "unknown", "a", "b"]);
    expect(found.map(({ metres }) => metres && Math.round(metres))).toEqual([0, null, 11, 22]);
    expect(camerasAt(all, "")).toEqual([]);
    expect(camerasAt(all, "nowhere")).toEqual([]);
  });

  it("around a point names the nearest cameras, and one at least", () => {
    const all = [
      at("far", "Alun-Alun", -7.98, 112.63),
      at("b", "Jl. Kawi", -7.9702, 112.62),
      at("unknown", "Jl. Dieng"),
    ];
    expect(camerasAt(all, "-7.9701, 112.6200").map((each) => each.camera.id)).toEqual(["b"]);
    expect(camerasAt([...all, at("a", "Jl. Langsep", -7.9701, 112.62)], "-7.9700 112.62")).toMatchObject([
      { camera: { id: "a" }, metres: expect.closeTo(11, 0) },
      { camera: { id: "b" } },
    ]);
    expect(camerasAt(all, "-8.9, 112.6").map((each) => each.camera.id)).toEqual(["far"]);
  });

  it.each([
    ["-7.98260, 112.63080", { latitude: -7.9826, longitude: 112.6308 }],
    ["\u22127.9826;112.6308", { latitude: -7.9826, longitude: 112.6308 }],
    ["7 112", { latitude: 7, longitude: 112 }],
    ["91, 112", null],
    ["-7.9, 181", null],
    ["Jl. Ijen 25", null],
    ["19.55", null],
  ])("reads %s as the point %j", (text, point) => {
    expect(parsePoint(text)).toEqual(point);
    if (point) expect(parsePoint(pointText(point))).toEqual(point);
  });

  it("reads a day and a time in the site's zone, today where there is no day", () => {
    const iso = (day: string, time: string) => {
      const ms = momentOfFields(day, time, NOW_MS, "Asia/Jakarta");
      return ms === null ? null : new Date(ms).toISOString();
    };
    expect(iso("29/11", "19.55")).toBe("2026-11-29T12:55:00.000Z");
    expect(iso("", "7:05")).toBe("2026-11-29T00:05:00.000Z");
    expect(iso("28/11/2025", "19:55:30")).toBe("2025-11-28T12:55:30.000Z");
    expect(iso("31/02", "10.00")).toBeNull();
    expect(iso("29/11", "")).toBeNull();
  });

  it("looks evenly around the moment, which is in the middle, and not into the future", () => {
    const moments = stillMoments(NOW_MS - 600_000, 10, NOW_MS);
    expect(moments).toHaveLength(STILLS);
    expect(moments.map((ms) => ms - (NOW_MS - 600_000))).toEqual([-10_000, -5000, 0, 5000, 10_000]);
    expect(stillMoments(NOW_MS - 1000, 10, NOW_MS)).toHaveLength(3);
  });
});
