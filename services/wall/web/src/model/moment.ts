/** Times as they are typed: day first, 24 hours, the same in every browser. */

import { siteNow } from "./site-clock.js";
import { type CivilTime, civilTime, momentOfCivil, siteZone } from "./zone.js";

/** `29/11/2026 19:55:00`, in the site's zone. */
export function momentText(ms: number, zone = siteZone.value): string {
  const { year, month, day, hour, minute, second } = civilTime(ms, zone);
  const two = (value: number) => String(value).padStart(2, "0");
  return `${two(day)}/${two(month)}/${year} ${two(hour)}:${two(minute)}:${two(second)}`;
}

const DAY = /^(\d{1,2})[/.-](\d{1,2})(?:[/.-](\d{4}))?$/;
const ISO_DAY = /^(\d{4})-(\d{2})-(\d{2})$/;
const CLOCK = /^(\d{1,2})[:.](\d{2})(?:[:.](\d{2}))?$/;
/** A day without a year that is further ahead than this is last year's. */
const AHEAD_MS = 86_400_000;

/**
 * Unix ms of a typed time: `29/11/2026 19:55:00`, `29/11 19.55`, `19.55` (on the day of `nearMs`), `2026-11-29 19:55`.
 * Null where it is none.
 */
export function parseMoment(text: string, nearMs = siteNow(), zone = siteZone.value): number | null {
  const words = text.trim().split(/[\sT]+/);
  const clock = CLOCK.exec(words.at(-1) ?? "");
  if (!clock || words.length > 2) return null;
  const time = { hour: Number(clock[1]), minute: Number(clock[2]), second: Number(clock[3] ?? 0) };
  const near = civilTime(nearMs, zone);
  if (words.length === 1) return momentOfCivil({ ...near, ...time }, zone);
  const iso = ISO_DAY.exec(words[0] ?? "");
  if (iso) {
    return momentOfCivil({ year: Number(iso[1]), month: Number(iso[2]), day: Number(iso[3]), ...time }, zone);
  }
  const day = DAY.exec(words[0] ?? "");
  if (!day) return null;
  const civil: CivilTime = { year: Number(day[3] ?? near.year), month: Number(day[2]), day: Number(day[1]), ...time };
  const ms = momentOfCivil(civil, zone);
  if (ms === null || day[3] !== undefined || ms <= nearMs + AHEAD_MS) return ms;
  return momentOfCivil({ ...civil, year: civil.year - 1 }, zone);
}
