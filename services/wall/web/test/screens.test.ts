import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Api } from "../src/api/client.js";
import type { Arrangement, Screen, ScreenStop } from "../src/api/generated.js";
import { ScreenPage, screenNamed } from "../src/app/screen.js";
import { Observable } from "../src/model/observable.js";
import { withCamera } from "../src/model/saved-wall.js";
import { tourPosition } from "../src/model/tour.js";
import { INITIAL_WALL, wallCameras } from "../src/model/wall.js";

const tile = (camera: string | null) => ({ camera, columns: null, rows: null });
const wall = (...cameras: (string | null)[]): Arrangement => ({ grid: "4", tiles: cameras.map(tile), hotspot: null });
const stop = (camera: string, dwell_seconds: number): ScreenStop => ({ wall: wall(camera), dwell_seconds });
const cameras = ({ tiles }: { tiles?: { camera?: string | null }[] }) => tiles?.map(({ camera }) => camera);

describe("a tour", () => {
  const stops = [stop("a", 10), stop("b", 20)];

  it.each([
    [0, 0, 10_000],
    [9_999, 0, 10_000],
    [10_000, 1, 30_000],
    [30_000, 0, 40_000],
    [45_000, 1, 60_000],
    [-5_000, 0, 10_000],
  ])("%d ms after it began is at stop %d until %d", (nowMs, at, untilMs) => {
    expect(tourPosition(stops, 0, nowMs)).toEqual({ stop: at, untilMs });
  });

  it("without stops is nowhere", () => {
    expect(tourPosition([], 0, 5)).toBeNull();
  });
});

describe("a camera sent to a screen", () => {
  it("takes its first empty tile, else the whole screen, and is never there twice", () => {
    expect(cameras(withCamera(wall("a", null, "c"), "x"))).toEqual(["a", "x", "c"]);
    expect(cameras(withCamera(wall("a"), "x"))).toEqual(["a", "x"]);
    expect(withCamera(wall("a", "b", "c", "d"), "x")).toMatchObject({ grid: "1", tiles: [{ camera: "x" }] });
    expect(withCamera(null, "x").grid).toBe("1");
    const there = wall("a", "x");
    expect(withCamera(there, "x")).toBe(there);
  });

  it("leaves covered tiles and the hotspot alone", () => {
    const grown: Arrangement = {
      grid: "4",
      tiles: [{ camera: "a", columns: 2, rows: 1 }, tile(null), tile(null)],
      hotspot: 2,
    };
    expect(cameras(withCamera(grown, "x"))).toEqual(["a", null, null, "x"]);
  });
});

describe("a screen's page", () => {
  let reloaded: number;
  let shown: Observable<typeof INITIAL_WALL>;
  let page: ScreenPage;

  beforeEach(() => {
    vi.useFakeTimers({ now: 1_000_000 });
    reloaded = 0;
    shown = new Observable(INITIAL_WALL);
    page = new ScreenPage("layar-1", new Api(), shown, () => {
      reloaded += 1;
    });
  });
  afterEach(() => vi.useRealTimers());

  const told = (changes: Partial<Screen>, version = "1") => {
    const screen = { id: "layar-1", wall: null, tour: "", stops: [], sent_us: 0, sent_by: "", seen_us: 0, ...changes };
    page.onNotice({ screen, version, now_us: Date.now() * 1000 });
  };

  it("is named by its address alone", () => {
    expect(screenNamed("/screen/layar-1")).toBe("layar-1");
    expect(["/", "/screen/", "/screen/A", "/screen/a/b"].map(screenNamed)).toEqual([null, null, null, null]);
  });

  it("shows what it is sent, nothing where it is cleared, and the same wall undisturbed", () => {
    told({ wall: wall("a", "b") });
    expect(wallCameras(shown.value)).toEqual(["a", "b"]);
    const before = shown.value;
    told({ wall: wall("a", "b"), seen_us: 5 });
    expect(shown.value).toBe(before);
    told({});
    expect(wallCameras(shown.value)).toEqual([]);
  });

  it("runs a tour from where it stands, also after it was away", () => {
    told({ tour: "Round", stops: [stop("a", 10), stop("b", 20)], sent_us: (Date.now() - 12_000) * 1000 });
    expect(wallCameras(shown.value)).toEqual(["b"]);
  });

  it("loads itself anew when the server has another version", () => {
    told({});
    told({});
    expect(reloaded).toBe(0);
    told({}, "2");
    expect(reloaded).toBe(1);
  });
});
