/** The city's map under the cameras. MapLibre comes with this module, which the page loads when somebody opens the map. */

import { addProtocol, Map as LibreMap, setWorkerUrl } from "maplibre-gl";
import libreStyles from "maplibre-gl/dist/maplibre-gl.css?inline";
import workerUrl from "maplibre-gl/dist/maplibre-gl-worker.mjs?url";
import { Protocol } from "pmtiles";
import type { Place } from "../model/filling.js";
import type { Point } from "../model/map-geometry.js";
import { mapStyle } from "./style.js";

const MAX_ZOOM = 19;
const FIT_PX = 60;
/** A single camera is shown with the streets around it; a junction's cameras come apart. */
const CLOSE_ZOOM = 17;

export { libreStyles };

setWorkerUrl(workerUrl);
addProtocol("pmtiles", new Protocol({ metadata: true }).tile);

export type Bounds = readonly [west: number, south: number, east: number, north: number];

/** Raises where the browser has no WebGL. */
export class CityMap {
  private readonly map: LibreMap;

  /** `archive`: the city's file; null: an empty ground. `moved` is called whenever another part is in view. */
  constructor(container: HTMLElement, archive: string | null, bounds: Bounds | null, label: string, moved: () => void) {
    this.map = new LibreMap({
      container,
      style: mapStyle(archive),
      maxZoom: MAX_ZOOM,
      attributionControl: archive === null ? false : { compact: true },
      dragRotate: false,
      pitchWithRotate: false,
      touchPitch: false,
      locale: { "Map.Title": label },
      ...(bounds && { bounds: [...bounds], fitBoundsOptions: { padding: FIT_PX, maxZoom: CLOSE_ZOOM } }),
    });
    this.map.touchZoomRotate.disableRotation();
    this.map.keyboard.disableRotation();
    for (const event of ["move", "resize", "load"] as const) this.map.on(event, moved);
  }

  readonly project = (longitude: number, latitude: number): Point => this.map.project([longitude, latitude]);

  readonly placeAt = ({ x, y }: Point): Place => {
    const { lat, lng } = this.map.unproject([x, y]);
    return { latitude: lat, longitude: lng };
  };

  /** `clicked` is called for each click on the ground that has moved nothing. */
  onClick(clicked: (event: MouseEvent) => void): void {
    this.map.on("click", ({ originalEvent }) => clicked(originalEvent));
  }

  fit(bounds: Bounds): void {
    this.map.fitBounds([...bounds], { padding: FIT_PX, maxZoom: CLOSE_ZOOM, duration: 300 });
  }

  zoomBy(steps: number): void {
    this.map.zoomTo(this.map.getZoom() + steps, { duration: 200 });
  }

  /** While a lasso is drawn the map stays where it is. */
  hold(held: boolean): void {
    if (held) this.map.dragPan.disable();
    else this.map.dragPan.enable();
  }

  remove(): void {
    this.map.remove();
  }
}
