import { describe, expect, it, vi } from "vitest";
import { Api, ApiError } from "../src/api/client.js";
import type { Layout } from "../src/api/generated.js";
import { SavedWalls } from "../src/app/walls.js";
import { distanceMetres, neighbours, tagCounts } from "../src/model/filling.js";
import { Observable } from "../src/model/observable.js";
import { arrangementOf, onKey, wallOf, walls } from "../src/model/saved-wall.js";
import { savedWallIn } from "../src/model/url-state.js";
import * as wall from "../src/model/wall.js";
import { camera } from "./samples.js";

const arranged = wall.toggleHotspot(
  wall.setSpan(wall.showCameras(wall.INITIAL_WALL, ["a", "b", "c", "d", "e"]), 0, { columns: 2, rows: 2 }),
  8,
);

function layout(changes: Partial<Layout> = {}): Layout {
  const about = {
    id: "layout-1",
    name: "Dieng",
    audience: "shared",
    role: null,
    owner: "siti",
    changed_us: 1,
    key: null,
  };
  return { ...about, ...arrangementOf(arranged), ...changes } as Layout;
}

describe("a saved wall", () => {
  it("is the same wall when it is opened", () => {
    const opened = wallOf(layout());
    expect(arrangementOf(opened)).toEqual(arrangementOf(arranged));
    expect(opened).toMatchObject({ layout: "9", spans: { 0: { columns: 2, rows: 2 } }, hotspot: 8, automatic: null });
    expect(wall.anyRecorded(wallOf(layout()))).toBe(false);
  });

  it("is found by parts of its name, one that begins with them first", () => {
    const all = [layout({ name: "Simpang Dieng" }), layout({ name: "Dieng pagi" }), layout({ name: "Balai kota" })];
    expect(walls(all, "dieng").map(({ name }) => name)).toEqual(["Dieng pagi", "Simpang Dieng"]);
    expect(walls(all, "")).toHaveLength(3);
    expect(walls(all, "pagi dieng")).toHaveLength(1);
  });

  it("gives its key to one's own wall before a shared one, and to the newest", () => {
    const shared = layout({ id: "shared", key: 1, changed_us: 9 });
    const own = layout({ id: "own", key: 1, owner: "budi", audience: "personal" });
    expect(onKey([shared, own], 1, "budi")?.id).toBe("own");
    expect(onKey([layout({ key: 1 }), shared], 1, "budi")?.id).toBe("shared");
    expect(onKey([shared], 2, "budi")).toBeUndefined();
  });

  it("is named by a link", () => {
    expect(savedWallIn("#wall=layout-1f")).toBe("layout-1f");
    expect(["", "#grid=4&tiles=a", "#wall=../x", "#wall=a&grid=4"].map(savedWallIn)).toEqual([null, null, null, null]);
  });
});

describe("the page's beginning", () => {
  function begin(answer: () => Promise<{ layouts: Layout[]; last: string | null }>) {
    const api = new Api();
    vi.spyOn(api, "layouts").mockImplementation(answer);
    const shown = new Observable(wall.INITIAL_WALL);
    return { shown, saved: new SavedWalls(api, shown, () => "siti") };
  }

  it("opens this person's last wall, and says its name until something else is arranged", async () => {
    const { shown, saved } = begin(async () => ({ layouts: [layout()], last: "layout-1" }));
    await saved.begin(null, true);
    expect(shown.value.layout).toBe("9");
    expect(saved.shownName).toBe("Dieng");
    shown.update((state) => wall.put(state, 1, null));
    expect(saved.shownName).toBeNull();
  });

  it("opens the wall of a link before the last one", async () => {
    const other = layout({ id: "other", grid: "25" });
    const { shown, saved } = begin(async () => ({ layouts: [layout(), other], last: "layout-1" }));
    await saved.begin("other", false);
    expect(shown.value.layout).toBe("25");
    expect([saved.lacks("other"), saved.lacks("gone")]).toEqual([false, true]);
  });

  it("leaves the wall to fill itself where nothing was opened, the registry is away, or the address says more", async () => {
    const none = begin(async () => ({ layouts: [layout()], last: null }));
    await none.saved.begin(null, true);
    const away = begin(async () => Promise.reject(new ApiError(503, "unavailable", "")));
    await away.saved.begin(null, true);
    expect(away.saved.lacks("gone")).toBe(false);
    const said = begin(async () => ({ layouts: [layout()], last: "layout-1" }));
    await said.saved.begin(null, false);
    for (const { shown } of [none, away, said]) expect(shown.value).toBe(wall.INITIAL_WALL);
  });
});

describe("saving over a wall", () => {
  /** A server that keeps one wall, which somebody else changes at `changedUs`. */
  function begin() {
    const api = new Api();
    const kept = { layout: layout({ changed_us: 1000 }), revision: 1 };
    const put = (changes: Partial<Layout>) => {
      kept.layout = { ...kept.layout, ...changes, changed_us: kept.layout.changed_us + 1000 };
      kept.revision += 1;
      return kept.layout;
    };
    vi.spyOn(api, "layouts").mockImplementation(async () => ({ layouts: [kept.layout], last: null }));
    vi.spyOn(api, "layout").mockImplementation(async () => ({ layout: kept.layout, revision: `"${kept.revision}"` }));
    vi.spyOn(api, "openLayout").mockResolvedValue();
    const update = vi.spyOn(api, "updateLayout").mockImplementation(async (_id, changes, revision) => {
      if (revision !== `"${kept.revision}"`) throw new ApiError(409, "conflict", "");
      return put(changes as Partial<Layout>);
    });
    const saved = new SavedWalls(api, new Observable(wall.INITIAL_WALL), () => "siti");
    return { api, kept, put, saved, update };
  }

  it("tells what another page has saved since this one opened the wall, and writes over that the next time", async () => {
    const { kept, put, saved, update } = begin();
    saved.open(kept.layout);
    await saved.read();
    put({ grid: "25" });
    await saved.read();
    expect(await saved.saveOver(kept.layout)).toBe(2);
    expect(update).not.toHaveBeenCalled();
    expect(await saved.saveOver(kept.layout)).toBeNull();
    expect(kept.layout.grid).not.toBe("25");
    expect(await saved.saveOver(kept.layout)).toBeNull();
  });

  it("tells it also where the other page was faster by a moment", async () => {
    const { api, kept, put, saved } = begin();
    await saved.read();
    const listed = kept.layout;
    vi.mocked(api.layout).mockImplementationOnce(async () => {
      const before = { layout: kept.layout, revision: `"${kept.revision}"` };
      put({ grid: "25" });
      return before;
    });
    expect(await saved.saveOver(listed)).toBe(2);
    expect(kept.layout.grid).toBe("25");
  });
});

describe("filling the wall", () => {
  const at = (id: string, latitude: number | null, longitude: number | null, enabled = true) =>
    camera({ id, enabled, location: { address: "", latitude, longitude, bearing: null } });

  it("finds the nearest cameras around one, itself first", () => {
    const all = [
      at("far", -7.9, 112.7),
      at("near", -7.951, 112.6),
      at("middle", -7.95, 112.6),
      at("nowhere", null, null),
    ];
    const off = at("off", -7.95, 112.6, false);
    expect(neighbours([...all, off], "middle", 3).map(({ id }) => id)).toEqual(["middle", "near", "far"]);
    expect(neighbours(all, "nowhere", 3)).toEqual([]);
    expect(neighbours(all, "gone", 3)).toEqual([]);
  });

  it("measures along the earth", () => {
    const metres = distanceMetres({ latitude: 0, longitude: 0 }, { latitude: 0, longitude: 1 });
    expect(metres).toBeGreaterThan(111_000);
    expect(metres).toBeLessThan(111_400);
  });

  it("counts the labels, the commonest first", () => {
    const all = [
      camera({ tags: ["simpang"] }),
      camera({ tags: ["simpang", "pasar"] }),
      camera({ tags: ["x"], enabled: false }),
    ];
    expect(tagCounts(all)).toEqual([
      { tag: "simpang", count: 2 },
      { tag: "pasar", count: 1 },
    ]);
  });
});
