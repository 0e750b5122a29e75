/** The site's time zone: times are shown and typed in it, not in the browser's. */

import { Observable } from "./observable.js";

/** An IANA name; undefined, which is the browser's own zone, until the server has told it. */
export const siteZone = new Observable<string | undefined>(undefined);

const formats = new Map<string | undefined, Intl.DateTimeFormat>();

function partsFormat(zone: string | undefined): Intl.DateTimeFormat {
  let found = formats.get(zone);
  if (!found) {
    found = new Intl.DateTimeFormat("en-US", {
      timeZone: zone,
      hourCycle: "h23",
      year: "numeric",
      month: "numeric",
      day: "numeric",
      hour: "numeric",
      minute: "numeric",
      second: "numeric",
    });
    formats.set(zone, found);
  }
  return found;
}

/** A moment on the zone's calendar and clock. */
export interface CivilTime {
  year: number;
  month: number;
  day: number;
  hour: number;
  minute: number;
  second: number;
}

export function civilTime(ms: number, zone = siteZone.value): CivilTime {
  const parts = partsFormat(zone).formatToParts(ms);
  const part = (type: Intl.DateTimeFormatPartTypes) => Number(parts.find((each) => each.type === type)?.value);
  return {
    year: part("year"),
    month: part("month"),
    day: part("day"),
    hour: part("hour"),
    minute: part("minute"),
    second: part("second"),
  };
}

function asUtcMs({ year, month, day, hour, minute, second }: CivilTime): number {
  return Date.UTC(year, month - 1, day, hour, minute, second);
}

/** The zone's offset from UTC at a moment, in minutes, positive in the east. */
export function zoneOffsetMinutes(ms: number, zone = siteZone.value): number {
  return Math.round((asUtcMs(civilTime(ms, zone)) - Math.floor(ms / 1000) * 1000) / 60_000);
}

/** The moment of a civil time, Unix ms; null where the calendar has no such day or the day no such time. */
export function momentOfCivil(civil: CivilTime, zone = siteZone.value): number | null {
  const utcMs = asUtcMs(civil);
  const { year, month, day, hour, minute, second } = civilTime(utcMs, "UTC");
  const same =
    year === civil.year &&
    month === civil.month &&
    day === civil.day &&
    hour === civil.hour &&
    minute === civil.minute &&
    second === civil.second;
  if (!same) return null;
  // The second look is for a change of the offset between the two moments.
  const near = utcMs - zoneOffsetMinutes(utcMs, zone) * 60_000;
  return utcMs - zoneOffsetMinutes(near, zone) * 60_000;
}
