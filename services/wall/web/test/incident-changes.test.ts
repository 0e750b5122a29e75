import { expect, it } from "vitest";
import type { Incident } from "../src/api/generated.js";
import { changesOf, tooShort } from "../src/model/incident-changes.js";

const INCIDENT = {
  title: "Crash",
  cameras: ["a", "b"],
  from_us: 1_796_000_000_123_456,
  to_us: null,
  notes: "",
  hold_days: 7.5,
} as unknown as Incident;

it("an incident's form changes what was typed and nothing else, also not the part of a second that it does not show", () => {
  const { title, cameras, notes, hold_days } = INCIDENT;
  const fields = { title, cameras, from_us: 1_796_000_000_000_000, to_us: null, notes, hold_days };
  expect(changesOf(INCIDENT, fields)).toEqual({});
  expect(changesOf(INCIDENT, { ...fields, notes: "two cars" })).toEqual({ notes: "two cars" });
  const ended = { ...fields, cameras: ["a"], to_us: 1_796_000_060_000_000 };
  expect(changesOf(INCIDENT, ended)).toEqual({ cameras: ["a"], to_us: 1_796_000_060_000_000 });
});

it.each([
  [7, 7, 30, null],
  [7, 8, 30, null],
  [7, 6.5, 30, 7],
  [7, null, 30, null],
  [40, null, 30, 40],
  [null, null, 30, null],
  [null, 40, 30, null],
  [null, 29, 30, 30],
  [7, null, null, 7],
  [null, 29, null, null],
])("of a hold of %s days that becomes %s where the site has %s, %s are the least", (before, after, site, least) => {
  expect(tooShort(before, after, site)).toBe(least);
});
