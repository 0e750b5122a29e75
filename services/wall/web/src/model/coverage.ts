/** How a coverage statement is shown: the worst first. */

import type { CameraCoverageView } from "../api/generated.js";

export const PERIODS = { day: 86_400_000, week: 7 * 86_400_000, month: 30 * 86_400_000 } as const;
export type Period = keyof typeof PERIODS;

/** Recorded cameras first, the least recorded of them on top; those that are not to be recorded last. */
export function worstFirst(cameras: readonly CameraCoverageView[]): CameraCoverageView[] {
  return [...cameras].sort(
    (a, b) => Number(b.recording) - Number(a.recording) || a.percent - b.percent || a.name.localeCompare(b.name),
  );
}

/** `99.98 %`: rounded down, so that 100 % means complete. */
export function percentText(percent: number, locale: string): string {
  const shown = Math.floor(percent * 100) / 100;
  return `${new Intl.NumberFormat(locale, { maximumFractionDigits: 2 }).format(shown)} %`;
}

/** `4`, `0.3`: days, with a decimal below 10. */
export function daysText(days: number, locale: string): string {
  return new Intl.NumberFormat(locale, { maximumFractionDigits: days < 10 ? 1 : 0 }).format(days);
}

/** `1.2 TB`. */
export function bytesText(bytes: number, locale: string): string {
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  const power = bytes < 1 ? 0 : Math.min(Math.floor(Math.log10(bytes) / 3), units.length - 1);
  const digits = power === 0 ? 0 : 1;
  const text = new Intl.NumberFormat(locale, { maximumFractionDigits: digits }).format(bytes / 1000 ** power);
  return `${text} ${units[power]}`;
}
