import { describe, expect, it } from "vitest";
import { Arranging } from "../src/app/arranging.js";
import { LAYOUTS } from "../src/model/layout.js";
import { Observable } from "../src/model/observable.js";
import { encode } from "../src/model/url-state.js";
import * as wall from "../src/model/wall.js";

const CAMERAS = Array.from({ length: 16 }, (_, i) => `cam-${i}`);

function begin(state = wall.fill(wall.INITIAL_WALL, CAMERAS)) {
  const shown = new Observable(state);
  const arranging = new Arranging(shown);
  const steps: boolean[] = [];
  shown.subscribe(() => steps.push(arranging.onWall()));
  return { shown, arranging, steps, link: () => encode({ wall: shown.value, atMs: null }) };
}

/** Numbers in [0, 1), the same in each run. */
function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return state / 2_147_483_648;
  };
}

describe("undo", () => {
  it.each([1, 2, 3, 4, 5, 6, 7, 8])("comes back to the first state after 20 random changes (%i)", (seed) => {
    const random = numbers(seed);
    const below = (count: number) => Math.floor(random() * count);
    const { shown, arranging, link } = begin();
    const links = [link()];
    const tile = () => below(wall.tileCount(shown.value));
    const changes: ((state: wall.WallState) => wall.WallState)[] = [
      (state) => wall.setLayout(state, LAYOUTS[below(LAYOUTS.length)] ?? "4"),
      (state) => wall.put(state, tile(), null),
      (state) => wall.drop(state, tile(), `cam-${below(40)}`),
      (state) => wall.swap(state, tile(), tile()),
      (state) => wall.setSpan(state, tile(), { columns: 1 + below(3), rows: 1 + below(3) }),
      (state) => wall.toggleHotspot(state, tile()),
      (state) => wall.showCameras(state, CAMERAS.slice(below(16))),
    ];
    for (let tries = 0; links.length <= 20 && tries < 1000; tries++) {
      arranging.last.set(null);
      shown.update(changes[below(changes.length)] ?? ((state) => state));
      if (arranging.last.value) links.push(link());
    }
    expect(links).toHaveLength(21);
    for (const before of links.slice(0, -1).reverse()) {
      arranging.undo();
      expect(withoutHotspot(link())).toBe(withoutHotspot(before));
    }
    arranging.undo();
    expect(link()).toBe(links[0]);
    for (const after of links.slice(1)) {
      arranging.redo();
      expect(withoutHotspot(link())).toBe(withoutHotspot(after));
    }
  });

  it("leaves alone what the wall did by itself, selecting, enlarging and the recording", () => {
    const { shown, arranging } = begin(wall.fill(wall.INITIAL_WALL, ["a"]));
    shown.update((state) => wall.fill(state, ["a", "b"]));
    shown.update((state) => wall.select(state, 1));
    shown.update((state) => wall.toggleEnlarged(state, 1));
    shown.update((state) => wall.setSource(state, "recorded"));
    expect(arranging.last.value).toBeNull();
    arranging.undo();
    expect(wall.wallCameras(shown.value)).toEqual(["a", "b"]);
  });

  it("does not take the wall off the recording", () => {
    const { shown, arranging } = begin();
    shown.update((state) => wall.setLayout(state, "4"));
    shown.update((state) => wall.setSource(state, "recorded"));
    arranging.undo();
    expect(shown.value.layout).toBe("16");
    expect(wall.wallCameras(shown.value, "recorded")).toEqual(CAMERAS);
  });

  it("forgets what was undone once something else is arranged", () => {
    const { shown, arranging } = begin();
    shown.update((state) => wall.setLayout(state, "4"));
    arranging.undo();
    shown.update((state) => wall.setLayout(state, "9"));
    arranging.redo();
    expect(shown.value.layout).toBe("9");
  });

  it.each([
    ["change.grid", true, (state: wall.WallState) => wall.setLayout(state, "4")],
    ["change.cameras", true, (state: wall.WallState) => wall.showCameras(state, CAMERAS.slice().reverse())],
    ["change.clear", false, (state: wall.WallState) => wall.put(state, 3, null)],
    ["change.camera", false, (state: wall.WallState) => wall.drop(state, 3, "other")],
    ["change.swap", false, (state: wall.WallState) => wall.swap(state, 3, 4)],
    ["change.span", false, (state: wall.WallState) => wall.growTile(state, 3, 1) && wall.growTile(state, 0, 1)],
    ["change.hotspot", false, (state: wall.WallState) => wall.toggleHotspot(state, 2)],
  ] as const)("names a change: %s; Back steps over it: %s", (what, step, change) => {
    const { shown, arranging, steps } = begin();
    shown.update(change);
    expect(arranging.last.value).toEqual({ what, how: "done" });
    expect(steps).toEqual([step]);
    arranging.undo();
    expect(arranging.last.value).toEqual({ what, how: "undone" });
  });
});

/** The hotspot goes on following. */
function withoutHotspot(link: string): string {
  const hot = /hot=(\d+)/.exec(link)?.[1];
  if (hot === undefined) return link;
  return link.replace(/tiles=([^&]*)/, (_, tiles: string) => {
    const ids = tiles.split(",");
    ids[Number(hot)] = "";
    while (ids.at(-1) === "") ids.pop();
    return `tiles=${ids.join(",")}`;
  });
}

describe("a change that did more than arrange", () => {
  it("takes all of it back, once, and with that change alone", () => {
    const { shown, arranging } = begin();
    let takenBack = 0;
    shown.update((state) => wall.showCameras(state, ["cam-1", "cam-2"]));
    arranging.alsoUndo(() => {
      takenBack += 1;
    });
    shown.update((state) => wall.setSource(state, "recorded"));
    shown.update((state) => wall.put(state, 0, null));
    arranging.undo();
    expect(takenBack).toBe(0);
    arranging.undo();
    arranging.undo();
    expect(takenBack).toBe(1);
  });
});
