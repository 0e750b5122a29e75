/** The timeline's rows: one a camera, the selected one tall with its activity. Lengths in CSS pixels. */

export interface Lane {
  camera: string;
  topPx: number;
  heightPx: number;
  selected: boolean;
}

export const RULER_PX = 24;
const SELECTED_PX = 44;
const GAP_PX = 3;
const OTHERS_PX = 104;
const LARGEST_PX = 15;
const SMALLEST_PX = 5;
/** From this height on a lane has room for its camera's name beside it. */
const NAMED_PX = 13;

/** The selected camera first, then the others in the order of their tiles. */
export function lanes(cameras: readonly string[], selected: string | null): Lane[] {
  const result: Lane[] = [];
  let topPx = RULER_PX;
  if (selected !== null) {
    result.push({ camera: selected, topPx, heightPx: SELECTED_PX, selected: true });
    topPx += SELECTED_PX + GAP_PX;
  }
  const others = cameras.filter((camera) => camera !== selected);
  const share = Math.floor(OTHERS_PX / Math.max(others.length, 1)) - GAP_PX;
  const heightPx = Math.min(Math.max(share, SMALLEST_PX), LARGEST_PX);
  for (const camera of others) {
    result.push({ camera, topPx, heightPx, selected: false });
    topPx += heightPx + GAP_PX;
  }
  return result;
}

/** The lanes that are too low for a name; they stand together, below the selected camera's. */
export function nameless(all: readonly Lane[]): Lane[] {
  return all.filter(({ heightPx }) => heightPx < NAMED_PX);
}

export function totalHeightPx(all: readonly Lane[]): number {
  const last = all.at(-1);
  return last ? last.topPx + last.heightPx + GAP_PX : RULER_PX + SELECTED_PX;
}

export function laneAt(all: readonly Lane[], yPx: number): Lane | undefined {
  return all.find((lane) => yPx >= lane.topPx && yPx <= lane.topPx + lane.heightPx + GAP_PX);
}
