import { describe, expect, it } from "vitest";
import { LAYOUTS } from "../src/model/layout.js";
import { decode, encode, incidentIn } from "../src/model/url-state.js";
import {
  anyRecorded,
  fill,
  INITIAL_WALL,
  put,
  select,
  setLayout,
  setSource,
  setSpan,
  toggleEnlarged,
  toggleHotspot,
  visibleTiles,
  wallCameras,
} from "../src/model/wall.js";

const wallOf = (layout: (typeof LAYOUTS)[number], ...cameras: (string | null)[]) =>
  cameras.reduce((state, camera, i) => put(state, i, camera), setLayout(INITIAL_WALL, layout));

describe("the layout in the URL", () => {
  it("is empty until somebody arranges something", () => {
    expect(encode({ wall: INITIAL_WALL, atMs: null })).toBe("");
    expect(decode("").wall).toEqual(INITIAL_WALL);
    expect(decode("#").wall).toEqual(INITIAL_WALL);
  });

  it.each(LAYOUTS)("restores %s with its tiles", (layout) => {
    const wall = wallOf(layout, "gate");
    const back = decode(`#${encode({ wall, atMs: null })}`).wall;
    expect(back.layout).toBe(layout);
    expect(visibleTiles(back)).toEqual(visibleTiles(wall));
    expect(back.automatic).toBeNull();
  });

  it("fills itself in the layout asked for where it names no tiles", () => {
    const { wall, atMs } = decode("grid=9");
    expect(atMs).toBeNull();
    expect(encode({ wall, atMs })).toBe("grid=9");
    const filled = fill(wall, ["a", "b"]);
    expect(filled.layout).toBe("9");
    expect(wallCameras(filled, "live")).toEqual(["a", "b"]);
  });

  it.each(["grid=4&at=2026-11-02T07:30:00.000Z", "at=2026-11-02T07:30:00.000Z"])(
    "shows the recording of %s although it names no tiles",
    (fragment) => {
      const { wall, atMs } = decode(fragment);
      expect(atMs).toBe(Date.UTC(2026, 10, 2, 7, 30));
      expect(anyRecorded(wall)).toBe(true);
      expect(encode({ wall, atMs })).toBe(fragment);
      const filled = fill(wall, ["a", "b"]);
      expect(wallCameras(filled, "recorded")).toEqual(["a", "b"]);
      expect(encode({ wall: filled, atMs })).toBe("grid=4&tiles=a,b&at=2026-11-02T07:30:00.000Z");
    },
  );

  it("reads well", () => {
    const wall = toggleEnlarged(wallOf("4", "a", null, "c"), 2);
    expect(encode({ wall, atMs: null })).toBe("grid=4&tiles=a,,c&big=2");
    expect(decode("grid=4&tiles=a,,c&big=2").wall.enlarged).toBe(2);
  });

  it("restores a moment, with the tiles that stayed live", () => {
    const wall = setSource(setSource(wallOf("4", "a", "b"), "recorded"), "live", 1);
    const atMs = Date.UTC(2026, 10, 2, 7, 30);
    const fragment = encode({ wall, atMs });
    expect(fragment).toBe("grid=4&tiles=a,b!&at=2026-11-02T07:30:00.000Z");
    const back = decode(fragment);
    expect(back.atMs).toBe(atMs);
    expect(visibleTiles(back.wall).map((tile) => tile.source)).toEqual(["recorded", "live", "live", "live"]);
  });

  it.each([
    "grid=4",
    "grid=99&tiles=a",
    "tiles=%E0%A4%A",
    "tiles=<script>,..%2F..,ok",
    `tiles=${"a,".repeat(500)}`,
    "grid=4&tiles=a&big=99&at=yesterday",
    "&&&===",
  ])("survives %s", (fragment) => {
    const { wall, atMs } = decode(fragment);
    expect(LAYOUTS).toContain(wall.layout);
    expect(wall.enlarged).toBeNull();
    expect(atMs).toBeNull();
    expect(wall.tiles.length).toBeLessThanOrEqual(64);
    for (const { camera } of wall.tiles) if (camera !== null) expect(camera).toMatch(/^[a-z0-9-]+$/);
  });

  it("restores dragged tiles and the hotspot with what it followed", () => {
    const grown = setSpan(wallOf("9", "a", "b", "c"), 0, { columns: 2, rows: 2 });
    const wall = select(toggleHotspot(grown, 8), 0);
    const fragment = encode({ wall, atMs: null });
    expect(fragment).toBe("grid=9&tiles=a,b,c,,,,,,a&span=0:2x2&hot=8");
    const back = decode(fragment).wall;
    expect([back.spans, back.hotspot, back.followed]).toEqual([wall.spans, 8, "a"]);
    expect(encode({ wall: back, atMs: null })).toBe(fragment);
    expect(decode("tiles=a&hot=9&span=0:2,x,99:9x9,1:0x0").wall.hotspot).toBeNull();
  });

  it("chooses a grid for the tiles where it names none", () => {
    expect(decode("tiles=a,b,c,d,e").wall.layout).toBe("9");
  });

  it("opens an incident's page", () => {
    expect(incidentIn("#incident=incident-20261129-ab12")).toBe("incident-20261129-ab12");
    for (const other of ["", "#grid=4", "#incident=", "#incident=../x", "#incident=a&b"]) {
      expect(incidentIn(other)).toBeNull();
    }
  });
});
