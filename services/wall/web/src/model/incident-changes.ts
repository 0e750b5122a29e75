/** What a form changes of an incident: the rest is left as colleagues may have changed it meanwhile. */

import type { Incident } from "../api/generated.js";
import { momentText } from "./moment.js";

export type IncidentFields = Pick<Incident, "title" | "cameras" | "from_us" | "to_us" | "notes" | "hold_days">;

/**
 * The days that an incident's footage has to be held at least where somebody changes it who may not shorten that.
 * `site`: how long one without days of its own is held; null: not known.
 */
export function tooShort(before: number | null, after: number | null, site: number | null): number | null {
  if (before === after) return null;
  const least = before ?? site;
  const given = after ?? site;
  if (least === null) return null;
  return given === null || given < least ? least : null;
}

/** The fields that differ from the incident as the form was opened. The form shows times in whole seconds. */
export function changesOf(incident: Incident, fields: IncidentFields): Partial<IncidentFields> {
  const shown = (us: number | null) => (us === null ? "" : momentText(us / 1000));
  const same = (name: keyof IncidentFields) =>
    name === "from_us" || name === "to_us"
      ? shown(incident[name]) === shown(fields[name])
      : JSON.stringify(incident[name]) === JSON.stringify(fields[name]);
  const names = Object.keys(fields) as (keyof IncidentFields)[];
  return Object.fromEntries(names.filter((name) => !same(name)).map((name) => [name, fields[name]]));
}
