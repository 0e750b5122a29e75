/** How wide the camera list is, in the page's own pixels. */

const STORAGE_KEY = "pantau.list-width";
const FIRST_PX = 308;
export const LEAST_PX = 220;
export const MOST_PX = 560;

export function listWidth(px: number): number {
  return Math.round(Math.min(Math.max(px, LEAST_PX), MOST_PX));
}

export function rememberedWidth(storage: Pick<Storage, "getItem">): number {
  const px = Number(storage.getItem(STORAGE_KEY) ?? Number.NaN);
  return Number.isFinite(px) ? listWidth(px) : FIRST_PX;
}

export function rememberWidth(storage: Pick<Storage, "setItem">, px: number): void {
  storage.setItem(STORAGE_KEY, String(px));
}
