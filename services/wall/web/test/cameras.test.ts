import { describe, expect, it } from "vitest";
import type { Status } from "../src/api/generated.js";
import { byName, counts, inFilter, statusOf, step, streamLine } from "../src/model/cameras.js";
import { search } from "../src/model/search.js";
import { camera, cameraState, profileReport } from "./samples.js";

const withStatus = (status: Status) => camera({ state: cameraState({ status }) });

describe("the camera list", () => {
  it("sorts as people count", () => {
    const names = ["Simpang 10", "simpang 2", "Alun-alun", "Simpang 1"].map((name) =>
      camera({ name, id: name.toLowerCase() }),
    );
    expect(byName(names, "id").map((entry) => entry.name)).toEqual([
      "Alun-alun",
      "Simpang 1",
      "simpang 2",
      "Simpang 10",
    ]);
  });

  it("finds by name, id, tag and address, ignoring case and accents, all words together", () => {
    const gate = camera({
      id: "gate-7",
      name: "Gerbang Café",
      tags: ["utara"],
      location: { latitude: null, longitude: null, address: "Jl. Ijen 5", bearing: null },
    });
    for (const query of ["", "  ", "gerbang", "CAFE", "gate-7", "UTARA ijen", "gerb 5"]) {
      expect(search([gate], query), query).toEqual([gate]);
    }
    expect(search([gate], "gerbang selatan")).toEqual([]);
  });

  it("counts working and faulty ones, a degraded camera once", () => {
    const all = (["online", "degraded", "offline", "connecting", "disabled"] as const).map(withStatus);
    expect(counts(all)).toEqual({ all: 5, working: 1, faulty: 3 });
    expect(inFilter(camera({}), "faulty")).toBe(false);
  });

  it("knows switched-off cameras and those that were never seen", () => {
    expect(statusOf({ ...withStatus("online"), enabled: false })).toBe("disabled");
    expect(statusOf(camera({}))).toBe("unknown");
  });

  it("describes the main stream in the language's numbers", () => {
    const entry = withStatus("online");
    expect(streamLine(entry, "id")).toBe("");
    const report = profileReport({ frame_rate: 24.98, bitrate_bps: 2_130_000 });
    if (entry.state) entry.state.profiles = { main: report };
    expect(streamLine(entry, "id")).toBe("1280×720 · 25 fps · 2,1 Mbit/s");
    expect(streamLine(entry, "en")).toBe("1280×720 · 25 fps · 2.1 Mbit/s");
  });

  it("steps through ids and stops at the ends", () => {
    expect(step(["a", "b"], null, 1)).toBe("a");
    expect(step(["a", "b"], "b", 1)).toBe("b");
    expect(step(["a", "b"], "b", -1)).toBe("a");
    expect(step(["a", "b"], "gone", -1)).toBe("b");
    expect(step([], "a", 1)).toBeNull();
  });
});
