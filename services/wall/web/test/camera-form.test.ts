import { describe, expect, it } from "vitest";
import { changesOf, fieldsOf, idFrom, inputOf, labelOf, validate } from "../src/model/camera-form.js";
import { camera, profile } from "./samples.js";

const filled = () => ({ ...fieldsOf(null, "city"), id: "gate", name: " Gate ", mainUrl: "rtsp://10.0.0.7/main" });

describe("the camera form", () => {
  it("makes ids of names", () => {
    expect(idFrom("Simpang Kayutangan – 2")).toBe("simpang-kayutangan-2");
    expect(idFrom("  Café!  ")).toBe("cafe");
    expect(idFrom("漢字")).toBe("");
    expect(idFrom("x".repeat(80))).toHaveLength(63);
  });

  it("accepts what the server accepts", () => {
    expect(validate(filled())).toEqual({});
    for (const mainUrl of ["rtsps://h:322/a?b=c", "http://h/x.m3u8", "srt://h:9000", "rtsp://user:secret@10.0.0.1/1"]) {
      expect(validate({ ...filled(), mainUrl }), mainUrl).toEqual({});
    }
  });

  it("names what is wrong, field by field", () => {
    expect(Object.keys(validate(fieldsOf(null, ""))).sort()).toEqual(["id", "mainUrl", "name"]);
    for (const mainUrl of ["10.0.0.1", "ftp://h/x", "rtsp://", "rtsp:// h/x"]) {
      expect(validate({ ...filled(), mainUrl }), mainUrl).toEqual({ mainUrl: "form.url.bad" });
    }
    expect(validate({ ...filled(), latitude: "91", longitude: "east" })).toEqual({
      latitude: "form.coordinate.bad",
      longitude: "form.coordinate.bad",
    });
  });

  it("sends a new camera with its id, and its user only where there is one", () => {
    const input = inputOf({ ...filled(), tags: "a, b,,a", latitude: "-7,98" }, null);
    expect(input).toMatchObject({ id: "gate", site: "city", name: "Gate", tags: ["a", "b"] });
    expect(input.location?.latitude).toBe(-7.98);
    expect(input.profiles).toEqual({ main: { url: "rtsp://10.0.0.7/main", transport: "auto" } });
    expect("credentials" in input).toBe(false);
    expect(inputOf({ ...filled(), username: "u", password: "p" }, null).credentials).toEqual({
      username: "u",
      password: "p",
    });
  });

  it("keeps of an existing camera what the form does not show", () => {
    const before = camera({
      id: "gate",
      name: "Gate",
      profiles: { main: profile({ url: "rtsp://a/1", reader: "libav" }) },
    });
    const input = inputOf({ ...fieldsOf(before, ""), forget: true }, before);
    expect(input.profiles?.main).toEqual({ url: "rtsp://a/1", reader: "libav", transport: "auto" });
    expect(input.credentials).toBeNull();
    expect("id" in input).toBe(false);
  });

  it("sends the privacy masks that stand on the form, so that the last one is removed as well", () => {
    const mask = { x: 0, y: 0.5, width: 0.25, height: 0.5 };
    const before = camera({ id: "gate", privacy_masks: [mask], unmasked_roles: ["operator"] });
    const fields = fieldsOf(before, "");
    expect(inputOf(fields, before)).toMatchObject({ privacy_masks: [mask], unmasked_roles: ["operator"] });
    const cleared = { ...fields, privacyMasks: [], unmaskedRoles: [] };
    expect(inputOf(cleared, before)).toMatchObject({ privacy_masks: [], unmasked_roles: [] });
  });

  it("changes what was typed and leaves the rest as colleagues may have changed it meanwhile", () => {
    const before = camera({
      id: "gate",
      name: "Gate",
      tags: ["a"],
      privacy_masks: [{ x: 0, y: 0, width: 1, height: 1 }],
    });
    const fields = fieldsOf(before, "");
    expect(changesOf(fields, before)).toEqual({});
    expect(changesOf({ ...fields, name: "Gate 2" }, before)).toEqual({ name: "Gate 2" });
    const typed = { ...fields, tags: "a, b", privacyMasks: [], forget: true };
    expect(changesOf(typed, before)).toEqual({ tags: ["a", "b"], privacy_masks: [], credentials: null });
  });

  it("names its own field for the server's path", () => {
    expect(
      [
        "name",
        "profiles.sub.url",
        "profiles.main.transport",
        "profiles.main.url",
        "privacy_masks.0.x",
        "retention",
      ].map(labelOf),
    ).toEqual(["form.name", "form.sub", "form.transport", "form.main", "masks.title", "form.other"]);
  });
});
