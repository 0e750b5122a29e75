import { describe, expect, it } from "vitest";
import type { CameraView, Status } from "../src/api/generated.js";
import { mapStyle } from "../src/map/style.js";
import {
  boundsOf,
  clusters,
  isJunction,
  mapCameras,
  nearestFirst,
  wallOrder,
  within,
} from "../src/model/map-geometry.js";
import { camera, cameraState } from "./samples.js";

function at(id: string, longitude: number | null, latitude: number | null, bearing: number | null = null): CameraView {
  return camera({ id, name: id, location: { address: "", latitude, longitude, bearing } });
}

function being(status: Status, each: CameraView): CameraView {
  return { ...each, state: cameraState({ status }) };
}

/** A degree is a thousand pixels. */
const project = (longitude: number, latitude: number) => ({ x: longitude * 1000, y: -latitude * 1000 });
const VIEW = { width: 1000, height: 1000 };
const ids = (cameras: readonly { camera: CameraView }[]) => cameras.map((each) => each.camera.id).join();

describe("cameras on the map", () => {
  it("are those in view whose place is known, a margin around it included where asked", () => {
    const all = [at("in", 0.5, -0.5), at("beside", 1.01, -0.5), at("nowhere", null, -0.5), at("far", 3, -0.5)];
    expect(ids(mapCameras(all, new Map(), project, VIEW))).toBe("in");
    expect(ids(mapCameras(all, new Map(), project, VIEW, 20))).toBe("in,beside");
  });

  it("that would lie over each other are one mark under their worst state", () => {
    const all = [
      being("online", at("a", 0.1, -0.1)),
      being("offline", at("b", 0.12, -0.1)),
      being("degraded", at("c", 0.9, -0.9)),
      camera({ ...at("d", 0.91, -0.9), enabled: false }),
    ];
    const marks = clusters(mapCameras(all, new Map(), project, VIEW));
    expect(marks.map(({ cameras, worst }) => [cameras.map(({ id }) => id).join(), worst])).toEqual([
      ["a,b", "offline"],
      ["c,d", "degraded"],
    ]);
    expect(marks[0]?.x).toBeCloseTo(110);
    const stale = clusters(mapCameras(all.slice(0, 1), new Map([["a", "stale"]]), project, VIEW));
    expect(stale[0]?.worst).toBe("offline");
  });

  it("are listed from the middle of the view outwards", () => {
    const all = mapCameras([at("edge", 0.1, -0.1), at("middle", 0.5, -0.45)], new Map(), project, VIEW);
    expect(ids(nearestFirst(all, { x: 500, y: 500 }))).toBe("middle,edge");
  });

  it("have bounds where one of them has a place", () => {
    expect(boundsOf([at("a", 1, -2), at("b", 3, -1), at("c", null, null)])).toEqual([1, -2, 3, -1]);
    expect(boundsOf([at("c", null, null)])).toBeNull();
  });
});

describe("a lasso", () => {
  it("holds what lies within its line, notches left out", () => {
    const line = [
      { x: 0, y: 0 },
      { x: 10, y: 0 },
      { x: 10, y: 10 },
      { x: 5, y: 2 },
      { x: 0, y: 10 },
    ];
    expect(within({ x: 2, y: 2 }, line)).toBe(true);
    expect(within({ x: 5, y: 8 }, line)).toBe(false);
    expect(within({ x: 11, y: 1 }, line)).toBe(false);
    expect(within({ x: 1, y: 1 }, [])).toBe(false);
  });
});

describe("cameras that go onto the wall together", () => {
  it("are ordered at a junction by the way they look, clockwise from north", () => {
    const all = [at("west", 112.6, -7.97, 270), at("north", 112.6001, -7.97, 2), at("south", 112.6, -7.9701, 180)];
    expect(isJunction(all)).toBe(true);
    expect(wallOrder(all).map(({ id }) => id)).toEqual(["north", "south", "west"]);
  });

  it("are ordered there by where they stand as far as nobody knows the way they look", () => {
    const all = [at("west", 112.5998, -7.97), at("north", 112.6, -7.9698), at("east", 112.6002, -7.97)];
    expect(wallOrder(all).map(({ id }) => id)).toEqual(["north", "east", "west"]);
  });

  it("are ordered elsewhere row by row", () => {
    const all = [at("se", 112.7, -8), at("nw", 112.6, -7.9), at("ne", 112.7, -7.901), at("sw", 112.6, -8)];
    expect(isJunction(all)).toBe(false);
    expect(isJunction(all.slice(0, 1))).toBe(false);
    expect(wallOrder(all).map(({ id }) => id)).toEqual(["nw", "ne", "sw", "se"]);
    expect(wallOrder([])).toEqual([]);
  });
});

describe("the map's style", () => {
  it("reads the city from the wall alone, and is an empty ground without a file", () => {
    const style = mapStyle("https://wall.example/api/v1/map.pmtiles");
    expect(JSON.stringify(style.sources)).toContain("pmtiles://https://wall.example/api/v1/map.pmtiles");
    expect(style.glyphs ?? style.sprite).toBeUndefined();
    expect(mapStyle(null).layers.map(({ id }) => id)).toEqual(["ground"]);
  });
});
