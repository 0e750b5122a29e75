/** What is dragged over the wall: a camera from the list, or one tile onto another. */

const CAMERA = "application/x-pantau-camera";
const TILE = "application/x-pantau-tile";

export type Dragged = { kind: "camera"; id: string } | { kind: "tile"; index: number };

export function dragCamera(event: DragEvent, id: string): void {
  event.dataTransfer?.setData(CAMERA, id);
  event.dataTransfer?.setData("text/plain", id);
  if (event.dataTransfer) event.dataTransfer.effectAllowed = "copy";
}

export function dragTile(event: DragEvent, index: number): void {
  event.dataTransfer?.setData(TILE, String(index));
  if (event.dataTransfer) event.dataTransfer.effectAllowed = "move";
}

/** Whether the dragged item is ours: browsers show only its type before the drop. */
export function accepts(event: DragEvent): boolean {
  return event.dataTransfer?.types.some((type) => type === CAMERA || type === TILE) ?? false;
}

export function dropped(event: DragEvent): Dragged | null {
  const id = event.dataTransfer?.getData(CAMERA);
  if (id) return { kind: "camera", id };
  const index = event.dataTransfer?.getData(TILE);
  return index ? { kind: "tile", index: Number(index) } : null;
}
