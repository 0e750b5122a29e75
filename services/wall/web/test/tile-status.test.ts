import { describe, expect, it } from "vitest";
import { type CameraView, REASON_VALUES, type SlotNotice } from "../src/api/generated.js";
import type { SlotState } from "../src/api/types.js";
import { counts, statusOf } from "../src/model/cameras.js";
import { seenOf, type TileInput, tileBadges, tileMark, tileMessage } from "../src/model/tile-status.js";
import { camera, cameraState, profileReport, slotNotice } from "./samples.js";

const NOW_MS = 1_790_000_000_000;

const notice = (changes: Partial<SlotNotice>) => slotNotice({ camera: "gate", ...changes });

const input = (changes: Partial<TileInput>): TileInput => ({
  camera: "gate",
  source: "live",
  entry: camera({ id: "gate" }),
  catalogueKnown: true,
  link: { phase: "open", sinceMs: NOW_MS - 60_000 },
  notice: notice({}),
  noticeMs: NOW_MS - 5000,
  hasPicture: true,
  staleSinceMs: null,
  ...changes,
});

const offline = (): CameraView => {
  const entry = camera({ id: "gate" });
  return {
    ...entry,
    state: cameraState({
      camera: "gate",
      status: "offline",
      reason: "unauthorized",
      detail: "401",
      since_us: 1_000_000,
    }),
  };
};

describe("what a tile says", () => {
  it("is nothing over a moving picture", () => {
    expect(tileMessage(input({}))).toBeNull();
  });

  it("is never nothing while there is no picture", () => {
    const states: SlotState[] = ["empty", "opening", "catching-up", "live", "waiting", "playing", "paused", "gap"];
    for (const phase of [
      "connecting",
      "open",
      "lost",
      "full",
      "no-path",
      "no-network",
      "no-webrtc",
      "no-h264",
    ] as const) {
      for (const state of [null, ...states]) {
        for (const source of ["live", "recorded"] as const) {
          for (const entry of [undefined, offline(), camera({ id: "gate" }), camera({ id: "gate", enabled: false })]) {
            const said = state === null ? null : notice({ state, source });
            const link = { phase, sinceMs: NOW_MS };
            const message = tileMessage(input({ link, notice: said, source, entry, hasPicture: false }));
            expect(message, `${phase} ${state} ${source}`).not.toBeNull();
          }
        }
      }
    }
  });

  it("gives the reason, what the camera's state adds, and since when", () => {
    const message = tileMessage(input({ entry: offline(), notice: notice({ state: "waiting" }), hasPicture: false }));
    expect(message).toMatchObject({
      title: "tile.offline",
      reason: "reason.unauthorized",
      detail: "401",
      sinceMs: 1000,
    });
  });

  it.each(REASON_VALUES)("has words for waiting because of %s", (reason) => {
    const message = tileMessage(input({ notice: notice({ state: "waiting", reason }), hasPicture: false }));
    expect(message).not.toBeNull();
    expect(message?.sinceMs).toBe(NOW_MS - 5000);
  });

  it("says what to do about a recording that the browser cannot decode", () => {
    const refused = notice({ source: "recorded", state: "waiting", reason: "unsupported-codec", codec: "hevc" });
    const message = tileMessage(input({ source: "recorded", notice: refused, hasPicture: false }));
    expect(message).toMatchObject({ title: "tile.recorded-codec", reason: "tile.recorded-codec.hint", detail: "HEVC" });
  });

  it("plays what a camera recorded before it was switched off", () => {
    const entry = camera({ id: "gate", enabled: false });
    const playing = notice({ source: "recorded", state: "playing" });
    expect(tileMessage(input({ entry, source: "recorded", notice: playing }))).toBeNull();
    expect(tileMessage(input({ entry }))?.title).toBe("tile.disabled");
  });

  it("covers even a picture when the connection is lost or nothing is recorded", () => {
    const lost = tileMessage(input({ link: { phase: "lost", sinceMs: 7 } }));
    expect(lost).toMatchObject({ title: "tile.lost", sinceMs: 7, tone: "fault" });
    expect(tileMessage(input({ notice: notice({ state: "gap" }) }))?.title).toBe("tile.gap");
  });

  it("says that a picture stands still", () => {
    const message = tileMessage(input({ staleSinceMs: 42 }));
    expect(message).toMatchObject({ title: "tile.frozen", sinceMs: 42, tone: "fault" });
  });

  it("gives the picture's age, the cause and the next try", () => {
    const entry = offline();
    if (entry.state) entry.state.profiles = { main: profileReport({ next_attempt_us: (NOW_MS + 12_000) * 1000 }) };
    const since = { staleSinceMs: NOW_MS - 9000, entry };
    const expected = { reason: "reason.unauthorized", pictureMs: NOW_MS - 9000, retryMs: NOW_MS + 12_000 };
    expect(tileMessage(input(since))).toMatchObject(expected);
    expect(tileMessage(input({ ...since, notice: notice({ state: "waiting" }) }))).toMatchObject(expected);
    expect(
      tileMessage(input({ ...since, hasPicture: false, notice: notice({ state: "waiting" }) }))?.pictureMs,
    ).toBeNull();
    expect(tileMessage(input({ staleSinceMs: NOW_MS }))?.retryMs).toBeNull();
  });

  it("stays over a replay until a fresh picture comes", () => {
    const replay = notice({ state: "catching-up" });
    expect(tileMessage(input({ notice: replay, staleSinceMs: 7 }))?.title).toBe("tile.frozen");
    expect(tileMessage(input({ notice: replay }))).toBeNull();
  });

  it("takes a notice about another camera for none", () => {
    const message = tileMessage(input({ notice: notice({ camera: "other", state: "gap" }), hasPicture: false }));
    expect(message?.title).toBe("tile.opening");
  });

  it("tells a removed camera from a catalogue that is not read yet", () => {
    expect(tileMessage(input({ entry: undefined }))?.title).toBe("tile.unknown");
    expect(tileMessage(input({ entry: undefined, catalogueKnown: false }))).toBeNull();
  });

  it("keeps a picture while a new session connects", () => {
    const link = { phase: "connecting", sinceMs: 0 } as const;
    expect(tileMessage(input({ link }))).toBeNull();
    expect(tileMessage(input({ link, hasPicture: false }))?.title).toBe("tile.connecting");
  });
});

describe("badges", () => {
  it("tell of slow links, conversion and a degraded camera", () => {
    const entry = offline();
    if (entry.state) entry.state.status = "degraded";
    const keys = tileBadges(input({ entry, notice: notice({ limited: "keyframes", transcoded: true }) })).map(
      (b) => b.key,
    );
    expect(keys).toEqual(["badge.degraded", "badge.limited-keyframes", "badge.transcoded"]);
    expect(tileBadges(input({}))).toEqual([]);
    const damaged = tileBadges(input({ notice: notice({ damaged: true }) }));
    expect(damaged).toEqual([{ key: "badge.damaged", tone: "warn", reason: "badge.damaged.hint" }]);
    const busy = tileBadges(input({ notice: notice({ limited: "keyframes", limited_by: "decoding" }) }));
    expect(busy).toEqual([{ key: "badge.limited-keyframes", tone: "warn", reason: "badge.slow-decoding" }]);
    const held = tileBadges(input({ notice: notice({ limited: "sub", limited_by: "site" }) }));
    expect(held).toEqual([{ key: "badge.limited-sub", tone: "warn", reason: "badge.site-line" }]);
    expect(tileBadges(input({ notice: notice({ camera: "other", limited: "sub" }) }))).toEqual([]);
  });
});

describe("the mark beside a tile's name", () => {
  const online = () => camera({ id: "gate", state: cameraState({ camera: "gate", status: "online" }) });

  it("is the camera's while its picture moves", () => {
    expect(tileMark(input({ entry: online() }))).toBe("online");
    expect(tileMark(input({ entry: offline(), staleSinceMs: NOW_MS }))).toBe("offline");
    expect(tileMark(input({ entry: offline() }))).toBe("connecting");
    expect(tileMark(input({ entry: undefined }))).toBe("unknown");
  });

  it("is never that of a working camera while the tile says that there is no picture", () => {
    const entry = online();
    const waiting = notice({ state: "waiting", reason: "timeout" });
    expect(tileMark(input({ entry, notice: waiting, hasPicture: false }))).toBe("offline");
    expect(tileMark(input({ entry, notice: waiting }))).toBe("offline");
    expect(tileMark(input({ entry, staleSinceMs: NOW_MS }))).toBe("offline");
    expect(tileMark(input({ entry, notice: null, hasPicture: false }))).toBe("connecting");
    expect(tileMark(input({ entry, link: { phase: "no-h264", sinceMs: 0 } }))).toBe("unknown");
    const gap = notice({ state: "gap", source: "recorded" });
    expect(tileMark(input({ entry, source: "recorded", notice: gap, hasPicture: false }))).toBe("unknown");
  });
});

describe("a browser that cannot show video", () => {
  it.each(["no-webrtc", "no-h264"] as const)("says so in live and recorded tiles: %s", (phase) => {
    for (const source of ["live", "recorded"] as const) {
      const message = tileMessage(input({ link: { phase, sinceMs: 0 }, source, notice: null, hasPicture: false }));
      expect(message).toMatchObject({ title: "tile.browser", reason: `tile.${phase}`, tone: "fault" });
    }
  });
});

describe("what a tile sees of its camera", () => {
  const online = camera({ id: "gate", state: cameraState({ status: "online" }) });

  it("is the same for the mark, the list and the counts", () => {
    for (const staleSinceMs of [null, NOW_MS]) {
      const tile = input({ entry: online, staleSinceMs });
      const seen = seenOf(tile) ?? "unseen";
      expect(statusOf(online, seen)).toBe(tileMark(tile));
      expect(counts([online], new Map([["gate", seen]])).faulty).toBe(staleSinceMs === null ? 0 : 1);
    }
  });

  it("is nothing while its own session, its recording or its browser is in the way", () => {
    expect(seenOf(input({ entry: online, link: { phase: "lost", sinceMs: 0 } }))).toBeNull();
    expect(seenOf(input({ entry: online, source: "recorded", notice: notice({ source: "recorded" }) }))).toBeNull();
    const codec = notice({ state: "waiting", reason: "unsupported-codec" });
    expect(seenOf(input({ entry: online, notice: codec, hasPicture: false }))).toBeNull();
    expect(seenOf(input({ entry: online, notice: null, hasPicture: false }))).toBeNull();
  });
});
