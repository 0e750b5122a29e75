/** Digital zoom by hand, while a tile fills the wall: the wheel and two fingers zoom, a pointer or finger moves the picture. */

import type { ReactiveController, ReactiveElement } from "lit";
import { type DigitalZoom, type Finger, panBy, pinch, zoomAt } from "../model/digital-zoom.js";
import type { Observable } from "../model/observable.js";

export class PanZoom implements ReactiveController {
  /** Pressed pointers by their ids. */
  private readonly pressed = new Map<number, Finger>();

  /** `zoom` is asked when something happens, and is null where the tile has none; `box` is what its parts are of. */
  constructor(
    private readonly host: ReactiveElement,
    private readonly zoom: () => Observable<DigitalZoom> | null,
    private readonly box: () => Element | null,
  ) {
    host.addController(this);
  }

  hostConnected(): void {
    this.host.addEventListener("wheel", this.onWheel, { passive: false });
    this.host.addEventListener("pointerdown", this.onDown);
    this.host.addEventListener("pointermove", this.onMove);
    for (const end of ["pointerup", "pointercancel", "pointerleave"] as const) {
      this.host.addEventListener(end, this.onEnd);
    }
  }

  private placeOf({ clientX, clientY }: MouseEvent): Finger | null {
    const box = this.box()?.getBoundingClientRect();
    if (!box || box.width === 0 || box.height === 0) return null;
    return { x: (clientX - box.left) / box.width, y: (clientY - box.top) / box.height };
  }

  private readonly onWheel = (event: WheelEvent) => {
    const at = this.placeOf(event);
    const zoom = this.zoom();
    if (!zoom || !at) return;
    event.preventDefault();
    zoom.update((before) => zoomAt(before, 1.0018 ** -event.deltaY, at.x, at.y));
  };

  private readonly onDown = (event: PointerEvent) => {
    const at = this.placeOf(event);
    if (at && event.button === 0) this.pressed.set(event.pointerId, at);
  };

  private readonly onMove = (event: PointerEvent) => {
    const before = this.pressed.get(event.pointerId);
    const at = this.placeOf(event);
    if (!before || !at) return;
    this.pressed.set(event.pointerId, at);
    const zoom = this.zoom();
    const [other] = [...this.pressed].filter(([id]) => id !== event.pointerId).map(([, finger]) => finger);
    if (other) zoom?.update((seen) => pinch(seen, [before, other], [at, other]));
    else if (zoom && zoom.value.scale > 1) zoom.update((seen) => panBy(seen, at.x - before.x, at.y - before.y));
  };

  private readonly onEnd = (event: PointerEvent) => {
    this.pressed.delete(event.pointerId);
  };
}
