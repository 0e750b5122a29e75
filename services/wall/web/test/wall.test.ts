import { describe, expect, it } from "vitest";
import * as wall from "../src/model/wall.js";

const ids = (state: wall.WallState) => wall.visibleTiles(state).map((tile) => tile.camera);
const arranged = (...cameras: (string | null)[]): wall.WallState =>
  cameras.reduce((state, camera, i) => wall.put(state, i, camera), wall.setLayout(wall.INITIAL_WALL, "4"));

describe("the wall", () => {
  it("fills itself with the first cameras while nobody has arranged anything", () => {
    const cameras = Array.from({ length: 20 }, (_, i) => `cam-${i}`);
    const state = wall.fill(wall.INITIAL_WALL, cameras);
    expect(state.layout).toBe("16");
    expect(ids(state)).toEqual(cameras.slice(0, 16));
    expect(wall.fill(state, cameras)).toBe(state);
  });

  it("grows with the catalogue, but not once somebody has put a camera somewhere", () => {
    const two = wall.fill(wall.INITIAL_WALL, ["a", "b"]);
    expect(ids(two)).toEqual(["a", "b", null, null]);
    expect(ids(wall.fill(two, ["a", "b", "c"]))).toEqual(["a", "b", "c", null]);
    const own = wall.put(two, 3, "a");
    expect(wall.fill(own, ["a", "b", "c"])).toBe(own);
  });

  it("stays in the recording when the catalogue grows, and goes back to live as a whole", () => {
    const recorded = wall.setSource(wall.fill(wall.INITIAL_WALL, ["a"]), "recorded");
    const grown = wall.fill(recorded, ["a", "b"]);
    expect(wall.wallCameras(grown, "recorded")).toEqual(["a", "b"]);
    expect(wall.wallCameras(wall.fill(wall.setSource(grown, "live"), ["a", "b", "c"]), "live")).toEqual([
      "a",
      "b",
      "c",
    ]);
    const mixed = wall.setSource(grown, "live", 0);
    expect(wall.fill(mixed, ["a", "b", "c"])).toBe(mixed);
  });

  it("takes the selected tile's camera for the one that is meant, else all", () => {
    const state = arranged("a", null, "b", "b");
    expect(wall.meantCameras(wall.select(state, 2))).toEqual(["b"]);
    expect(wall.meantCameras(wall.select(state, 1))).toEqual(["a", "b"]);
  });

  it("keeps what a smaller layout hides, and gives it back", () => {
    const four = arranged("a", "b", "c", "d");
    const one = wall.setLayout(wall.select(four, 3), "1");
    expect(ids(one)).toEqual(["a"]);
    expect(one.selected).toBe(0);
    expect(ids(wall.setLayout(one, "4"))).toEqual(["a", "b", "c", "d"]);
  });

  it("swaps two tiles, empty ones too", () => {
    expect(ids(wall.swap(arranged("a", "b"), 0, 3))).toEqual([null, "b", null, "a"]);
  });

  it("does not enlarge an empty tile, and goes through the others while enlarged", () => {
    const state = arranged("a", null, "c", null);
    expect(wall.toggleEnlarged(state, 1).enlarged).toBeNull();
    const big = wall.toggleEnlarged(state, 0);
    expect(wall.move(big, "right").enlarged).toBe(2);
    expect(wall.move(wall.move(big, "right"), "right").enlarged).toBe(0);
    expect(wall.move(big, "left").enlarged).toBe(2);
    expect(wall.toggleEnlarged(big, 0).enlarged).toBeNull();
  });

  it("shrinks again when the enlarged tile is emptied", () => {
    expect(wall.put(wall.toggleEnlarged(arranged("a"), 0), 0, null).enlarged).toBeNull();
  });

  it("puts a chosen camera into the selected tile and selects the next", () => {
    const first = wall.placeNext(arranged(), "x");
    const second = wall.placeNext(first, "y");
    expect(ids(second)).toEqual(["x", "y", null, null]);
    expect(second.selected).toBe(2);
  });

  it("leaves a camera that is on the wall where it is, whether it is picked twice or dragged", () => {
    const placed = wall.placeNext(wall.select(arranged("a"), 1), "x");
    expect(wall.placeNext(placed, "x")).toBe(placed);
    const enlarged = wall.placeNext(wall.toggleEnlarged(placed, 0), "x");
    expect([enlarged.enlarged, ids(enlarged)]).toEqual([1, ["a", "x", null, null]]);
    expect(ids(wall.drop(placed, 3, "x"))).toEqual(["a", null, null, "x"]);
    expect(ids(wall.drop(placed, 3, "y"))).toEqual(["a", "x", null, "y"]);
  });

  it("is filled with the cameras although something was pressed before they were known", () => {
    const early = [
      wall.setLayout(wall.INITIAL_WALL, "9"),
      wall.put(wall.INITIAL_WALL, 0, null),
      wall.swap(wall.INITIAL_WALL, 0, 1),
      wall.setSource(wall.INITIAL_WALL, "recorded", 0),
    ];
    for (const state of early) expect(wall.wallCameras(wall.fill(state, ["a", "b"]))).toEqual(["a", "b"]);
    expect(wall.fill(wall.setLayout(wall.INITIAL_WALL, "9"), ["a"]).layout).toBe("9");
  });

  it("turns tiles to the recording, all or one, and leaves empty ones alone", () => {
    const state = wall.setSource(arranged("a", "b"), "recorded");
    expect(wall.visibleTiles(state).map((tile) => tile.source)).toEqual(["recorded", "recorded", "live", "live"]);
    const mixed = wall.setSource(state, "live", 0);
    expect(wall.wallCameras(mixed, "recorded")).toEqual(["b"]);
    expect(wall.anyRecorded(wall.setSource(mixed, "live"))).toBe(false);
  });

  it("a tile that shows the recording goes on doing so with another camera", () => {
    const state = wall.put(wall.setSource(arranged("a"), "recorded"), 0, "b");
    expect(wall.tileAt(state, 0)).toEqual({ camera: "b", source: "recorded" });
  });

  it("arranges itself for an incident's cameras", () => {
    const state = wall.showCameras(arranged("a", "b"), ["x", "y", "z", "u", "v"]);
    expect(state.layout).toBe("9");
    expect(wall.wallCameras(state)).toEqual(["x", "y", "z", "u", "v"]);
  });

  it("hides what a grown tile covers and gives it back, by dragging and by key", () => {
    const grown = wall.setSpan(arranged("a", "b", "c", "d"), 0, { columns: 2, rows: 1 });
    expect(ids(grown)).toEqual(["a", null, "c", "d"]);
    expect(wall.wallCameras(grown)).toEqual(["a", "c", "d"]);
    expect(ids(wall.growTile(grown, 0, -1))).toEqual(["a", "b", "c", "d"]);
    expect(ids(wall.growTile(grown, 0, 1))).toEqual(["a", null, null, null]);
    expect(wall.growTile(arranged("a"), 3, 1).spans).toEqual({});
    const nine = wall.setLayout(arranged("a"), "9");
    const both = wall.setSpan(wall.setSpan(nine, 4, { columns: 2, rows: 2 }), 3, { columns: 3, rows: 1 });
    expect(both.spans).toEqual({ 3: { columns: 3, rows: 1 } });
  });

  it("has a hotspot that follows the selection, and is no second place of a camera", () => {
    const hot = wall.toggleHotspot(wall.select(arranged("a", "b", null, "d"), 3), 3);
    expect(ids(hot)).toEqual(["a", "b", null, "d"]);
    const followed = wall.select(hot, 1);
    expect(ids(followed)).toEqual(["a", "b", null, "b"]);
    expect(ids(wall.select(followed, 2))).toEqual(["a", "b", null, "b"]);
    expect(wall.tileOf(followed, "b")).toBe(1);
    expect(ids(wall.placeNext(wall.select(followed, 3), "x"))).toEqual(["a", "b", null, "x"]);
    expect(ids(wall.put(followed, 3, null))).toEqual(["a", "b", null, null]);
    expect(wall.swap(followed, 3, 0)).toMatchObject({ hotspot: 0, selected: 0 });
  });
});
