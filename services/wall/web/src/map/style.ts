/** How the city is drawn: quiet, so that the cameras stand out. For archives of Protomaps' schema 4. */

import type { LayerSpecification, StyleSpecification } from "maplibre-gl";

const GROUND = "#12171d";
const WATER = "#16293a";
const GREEN = "#15211d";
const BUILDING = "#1a2129";
const MINOR = "#2a343f";
const MAJOR = "#3d4a58";
const HIGHWAY = "#506173";
const TEXT = "#a9b5c1";

type Width = readonly (readonly [zoom: number, px: number])[];

function growing(stops: Width): ["interpolate", ["exponential", number], ["zoom"], ...number[]] {
  return ["interpolate", ["exponential", 1.6], ["zoom"], ...stops.flat()];
}

function road(id: string, kinds: readonly string[], color: string, stops: Width, minzoom = 0): LayerSpecification {
  return {
    id,
    type: "line",
    source: "city",
    "source-layer": "roads",
    minzoom,
    filter: ["in", ["get", "kind"], ["literal", [...kinds]]],
    layout: { "line-cap": "round", "line-join": "round" },
    paint: { "line-color": color, "line-width": growing(stops) },
  };
}

function area(id: string, layer: string, color: string, kinds: readonly string[] = []): LayerSpecification {
  return {
    id,
    type: "fill",
    source: "city",
    "source-layer": layer,
    ...(kinds.length > 0 && { filter: ["in", ["get", "kind"], ["literal", [...kinds]]] }),
    paint: { "fill-color": color },
  };
}

function names(id: string, layer: string, minzoom: number, along: boolean): LayerSpecification {
  return {
    id,
    type: "symbol",
    source: "city",
    "source-layer": layer,
    minzoom,
    filter: ["has", "name"],
    layout: {
      "text-field": ["get", "name"],
      "text-font": ["sans-serif"],
      "text-size": 12,
      ...(along && { "symbol-placement": "line" as const }),
    },
    paint: { "text-color": TEXT, "text-halo-color": GROUND, "text-halo-width": 1.4 },
  };
}

const EMPTY: StyleSpecification = {
  version: 8,
  sources: {},
  layers: [{ id: "ground", type: "background", paint: { "background-color": GROUND } }],
};

/** `archive`: the address of the city's file; null where there is none. */
export function mapStyle(archive: string | null): StyleSpecification {
  if (archive === null) return EMPTY;
  return {
    ...EMPTY,
    sources: { city: { type: "vector", url: `pmtiles://${archive}` } },
    layers: [
      ...EMPTY.layers,
      area("green", "landuse", GREEN, ["park", "grass", "forest", "wood", "cemetery", "recreation_ground", "garden"]),
      area("water", "water", WATER),
      area("buildings", "buildings", BUILDING),
      road(
        "paths",
        ["path", "rail"],
        MINOR,
        [
          [14, 0.5],
          [18, 3],
        ],
        14,
      ),
      road(
        "minor",
        ["minor_road", "other"],
        MINOR,
        [
          [12, 0.6],
          [15, 3],
          [18, 14],
        ],
        12,
      ),
      road("major", ["major_road"], MAJOR, [
        [9, 1.4],
        [13, 3.2],
        [18, 20],
      ]),
      road("highways", ["highway"], HIGHWAY, [
        [8, 1],
        [13, 3],
        [18, 24],
      ]),
      names("street-names", "roads", 14, true),
      names("place-names", "places", 10, false),
    ],
  };
}
