import type { ReactiveElement } from "lit";
import { expect, it } from "vitest";
import { NO_ZOOM } from "../src/model/digital-zoom.js";
import { Observable } from "../src/model/observable.js";
import { PanZoom } from "../src/ui/pan-zoom.js";

/** A tile of 100 × 100 pixels, and what hands do to it. */
function tile(enlarged = true) {
  const host = Object.assign(new EventTarget(), { addController: () => undefined });
  const zoom = new Observable(NO_ZOOM);
  const box = { getBoundingClientRect: () => ({ left: 0, top: 0, width: 100, height: 100 }) } as Element;
  new PanZoom(
    host as unknown as ReactiveElement,
    () => (enlarged ? zoom : null),
    () => box,
  ).hostConnected();
  const does = (type: string, clientX: number, clientY: number, more: object = {}) => {
    const event = new Event(type, { cancelable: true });
    host.dispatchEvent(Object.assign(event, { clientX, clientY, button: 0, pointerId: 1, ...more }));
    return event;
  };
  return { zoom, does };
}

it("zooms by the wheel where the pointer is, in a tile that fills the wall alone", () => {
  const { zoom, does } = tile();
  expect(does("wheel", 50, 50, { deltaY: -400 }).defaultPrevented).toBe(true);
  expect(zoom.value.scale).toBeGreaterThan(2);
  const among = tile(false);
  expect(among.does("wheel", 50, 50, { deltaY: -400 }).defaultPrevented).toBe(false);
  expect(among.zoom.value).toBe(NO_ZOOM);
});

it("moves a picture that was zoomed into with a pressed pointer, until it is let go or leaves", () => {
  const { zoom, does } = tile();
  does("pointerdown", 50, 50);
  does("pointermove", 10, 50);
  expect(zoom.value).toBe(NO_ZOOM);
  does("pointerup", 10, 50);
  zoom.set({ scale: 2, left: 0.25, top: 0.25 });
  does("pointermove", 90, 50);
  expect(zoom.value.left).toBe(0.25);
  does("pointerdown", 50, 50);
  does("pointermove", 30, 50);
  expect(zoom.value).toEqual({ scale: 2, left: 0.35, top: 0.25 });
  does("pointerleave", 30, 50);
  does("pointermove", 90, 50);
  expect(zoom.value.left).toBe(0.35);
});

it("zooms with two fingers that spread", () => {
  const { zoom, does } = tile();
  does("pointerdown", 40, 50, { pointerId: 1 });
  does("pointerdown", 60, 50, { pointerId: 2 });
  does("pointermove", 80, 50, { pointerId: 2 });
  expect(zoom.value.scale).toBeCloseTo(2);
  does("pointercancel", 80, 50, { pointerId: 2 });
  does("pointermove", 40, 60, { pointerId: 1 });
  expect(zoom.value.scale).toBeCloseTo(2);
});
