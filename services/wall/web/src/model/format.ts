/** Times and sizes as people read them, in the site's zone. */

import type { Language } from "../i18n/index.js";
import { siteZone } from "./zone.js";

const LOCALES: Record<Language, string> = { en: "en-GB", id: "id-ID" };

export function localeOf(language: Language): string {
  return LOCALES[language];
}

const formats = new Map<string, Intl.DateTimeFormat>();

function format(language: Language, options: Intl.DateTimeFormatOptions, zone?: string): Intl.DateTimeFormat {
  const key = `${language}${zone ?? ""}${JSON.stringify(options)}`;
  let found = formats.get(key);
  if (!found) {
    found = new Intl.DateTimeFormat(localeOf(language), {
      ...options,
      hourCycle: "h23",
      ...(zone && { timeZone: zone }),
    });
    formats.set(key, found);
  }
  return found;
}

/** `14:05:09`, in both languages with colons: a wall clock is read, not spelt. */
export function clockTime(ms: number, language: Language, zone = siteZone.value): string {
  const options: Intl.DateTimeFormatOptions = { hour: "2-digit", minute: "2-digit", second: "2-digit" };
  return format(language, options, zone).format(ms).replaceAll(".", ":");
}

/** `14:05`. */
export function minuteTime(ms: number, language: Language, zone = siteZone.value): string {
  return format(language, { hour: "2-digit", minute: "2-digit" }, zone).format(ms).replaceAll(".", ":");
}

/** `Sun 2 Nov`. */
export function dayDate(ms: number, language: Language, zone = siteZone.value): string {
  return format(language, { weekday: "short", day: "numeric", month: "short" }, zone).format(ms);
}

/** `2 Nov 2026, 14:05:09`. */
export function dateTime(ms: number, language: Language, zone = siteZone.value): string {
  const day = format(language, { day: "numeric", month: "short", year: "numeric" }, zone).format(ms);
  return `${day}, ${clockTime(ms, language, zone)}`;
}

/** `2 Nov 2026, 14:05:09 – 14:06:00`, with the second day where that is another one. */
export function rangeTime(fromMs: number, toMs: number, language: Language, zone = siteZone.value): string {
  const end = sameDay(fromMs, toMs, language, zone) ? clockTime : dateTime;
  return `${dateTime(fromMs, language, zone)} – ${end(toMs, language, zone)}`;
}

function sameDay(a: number, b: number, language: Language, zone: string | undefined): boolean {
  return dayDate(a, language, zone) === dayDate(b, language, zone) && Math.abs(a - b) < 86_400_000;
}

/** `14:05` today, with the day before it otherwise. */
export function sinceTime(ms: number, nowMs: number, language: Language, zone = siteZone.value): string {
  if (sameDay(ms, nowMs, language, zone)) return clockTime(ms, language, zone);
  return `${dayDate(ms, language, zone)} ${minuteTime(ms, language, zone)}`;
}

/** `14:05:09` today, with the day before it otherwise. */
export function momentTime(ms: number, nowMs: number, language: Language, zone = siteZone.value): string {
  const day = dayDate(ms, language, zone);
  const time = clockTime(ms, language, zone);
  return day === dayDate(nowMs, language, zone) ? time : `${day} ${time}`;
}

/** `1:05:09`, `5:09`, `0:09`. */
export function duration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  const two = (value: number) => String(value).padStart(2, "0");
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor((seconds % 3600) / 60);
  const rest = two(seconds % 60);
  return hours > 0 ? `${hours}:${two(minutes)}:${rest}` : `${minutes}:${rest}`;
}

const UNITS = [
  ["day", 86_400],
  ["hour", 3600],
  ["minute", 60],
  ["second", 1],
] as const;

/** How long something lasts, in its two largest units: `3 days 4 hours`, `2 jam 5 menit`. */
export function lasting(ms: number, language: Language): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const first = UNITS.findIndex(([, size]) => seconds >= size);
  const shown = first < 0 ? UNITS.slice(-1) : UNITS.slice(first, first + 2);
  let rest = seconds;
  const parts = shown.flatMap(([unit, size], i) => {
    const count = Math.floor(rest / size);
    rest %= size;
    const text = new Intl.NumberFormat(localeOf(language), { style: "unit", unit, unitDisplay: "long" }).format(count);
    return count > 0 || (i === 0 && shown.length === 1) ? [text] : [];
  });
  return parts.join(" ");
}

/** `0.25×`, `2×`, `−1×`. */
export function rateText(rate: number, language: Language): string {
  const text = new Intl.NumberFormat(localeOf(language), { maximumFractionDigits: 2 }).format(Math.abs(rate));
  return `${rate < 0 ? "−" : ""}${text}×`;
}
