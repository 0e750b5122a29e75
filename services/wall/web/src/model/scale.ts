/** The page's one scale: everything grows by it, for large displays and for who stands three metres away. */

import { Observable } from "./observable.js";

export const SCALES = ["auto", "1", "1.25", "1.5", "2", "3"] as const;
export type ScaleChoice = (typeof SCALES)[number];

const STORAGE_KEY = "pantau.scale";
/** At this width a page is read at arm's length without a scale… */
const DESK_PX = 1920;
/** …and a wall screen from three metres. */
const SCREEN_PX = 1280;
/** So much of a window is left for the page where somebody chose a scale: its bar needs it; a wall screen has none. */
const LEAST_DESK_PX = 1024;
const LEAST_SCREEN_PX = 640;
const STEP = 0.25;
const MOST = 3;

/** How many times as large everything is. */
export const scale = new Observable(1);
export const scaleChoice = new Observable<ScaleChoice>("auto");

export function isScaleChoice(text: string | null): text is ScaleChoice {
  return (SCALES as readonly (string | null)[]).includes(text);
}

/** `widthPx`: of the window. */
export function scaleFor(choice: ScaleChoice, widthPx: number, screen: boolean): number {
  const wanted = choice === "auto" ? Math.min(widthPx / (screen ? SCREEN_PX : DESK_PX), MOST) : Number(choice);
  const most = Math.floor(widthPx / (screen ? LEAST_SCREEN_PX : LEAST_DESK_PX) / STEP) * STEP;
  return Math.max(1, Math.min(Math.round(wanted / STEP) * STEP, most));
}

/** Takes up the remembered choice, or the one in a wall screen's address (`?scale=2`); follows the window's width. */
export function startScale(window: Window, storage: Pick<Storage, "getItem">, screen: boolean): void {
  const follow = () => {
    const { documentElement } = window.document;
    scale.set(scaleFor(scaleChoice.value, window.innerWidth, screen));
    // Lengths in vh and vw grow with the zoom: styles divide them by it.
    documentElement.style.setProperty("--scale", String(scale.value));
    documentElement.style.setProperty("zoom", String(scale.value));
  };
  const asked = new URLSearchParams(window.location.search).get("scale") ?? storage.getItem(STORAGE_KEY);
  if (isScaleChoice(asked)) scaleChoice.set(asked);
  scaleChoice.subscribe(follow);
  window.addEventListener("resize", follow);
  follow();
}

export function chooseScale(storage: Pick<Storage, "setItem">, choice: ScaleChoice): void {
  storage.setItem(STORAGE_KEY, choice);
  scaleChoice.set(choice);
}

/** Pixels of the display in one of the page's own. */
export function displayRatio(): number {
  return devicePixelRatio * scale.value;
}

/** Where a pointer is within an element, in the page's own pixels: `offsetX` knows no scale. */
export function pointIn(event: Pick<MouseEvent, "clientX" | "clientY">, element: Element): { x: number; y: number } {
  const { left, top } = element.getBoundingClientRect();
  return { x: (event.clientX - left) / scale.value, y: (event.clientY - top) / scale.value };
}
