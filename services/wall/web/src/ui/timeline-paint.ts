/** Draws the timeline from a `Scene`, without state of its own. */

import type { Incident } from "../api/generated.js";
import type { Language } from "../i18n/index.js";
import type { EventMark } from "../model/event-feed.js";
import { clockTime, dayDate, minuteTime } from "../model/format.js";
import { type Lane, RULER_PX } from "../model/lanes.js";
import { type TimeScale, ticks, toPx } from "../model/time-scale.js";
import type { Footage, Span, Timeline } from "../model/timeline.js";
import { zoneOffsetMinutes } from "../model/zone.js";

export interface Scene {
  scale: TimeScale;
  heightPx: number;
  lanes: readonly Lane[];
  timelines: ReadonlyMap<string, Timeline>;
  /** The present: nothing is recorded after it. */
  nowMs: number;
  /** The moment on the screen. */
  playheadMs: number;
  live: boolean;
  range: Span | null;
  incidents: readonly Incident[];
  events: readonly EventMark[];
  hoverPx: number | null;
  language: Language;
}

export const RANGE_COLORS: Record<Footage, string> = {
  full: "#3a6486",
  keyframes: "#3b4f5f",
  "archived-full": "#5c4f94",
  "archived-keyframes": "#4c4668",
};
export const GAP_COLOR = "#7d4340";
export const DAMAGE_COLOR = "#b4873c";
/** Of the stripe on top of footage with damaged pictures. */
const DAMAGE_PX = 3;
const COLORS = {
  ground: "#0d1014",
  lane: "#171d24",
  activity: "#a9d2f0",
  tick: "#222a33",
  text: "#8b98a6",
  day: "#d6dde4",
  future: "#0a0c0f",
  playhead: "#e8b75a",
  live: "#79b791",
  incident: "#e58078",
  closedIncident: "#8b98a6",
  event: { fault: "#e58078", warn: "#d8ab57" },
  range: "rgb(232 183 90 / 0.2)",
  rangeEdge: "#e8b75a",
  hover: "#6b7886",
};
const FONT = '12px "Inter", "Segoe UI", "Noto Sans", "DejaVu Sans", system-ui, sans-serif';
const TICK_SPACING_PX = 96;

export function paint(context: CanvasRenderingContext2D, scene: Scene): void {
  const { scale, heightPx } = scene;
  context.fillStyle = COLORS.ground;
  context.fillRect(0, 0, scale.widthPx, heightPx);
  context.font = FONT;
  context.textBaseline = "middle";
  paintRuler(context, scene);
  for (const lane of scene.lanes) paintLane(context, scene, lane);
  paintEvents(context, scene);
  paintIncidents(context, scene);
  paintRange(context, scene);
  if (scene.hoverPx !== null) line(context, scene.hoverPx, RULER_PX, heightPx, COLORS.hover, 1);
  const playhead = toPx(scale, scene.playheadMs);
  const color = scene.live ? COLORS.live : COLORS.playhead;
  line(context, playhead, 0, heightPx, color, 2);
  context.fillStyle = color;
  context.beginPath();
  context.moveTo(playhead - 6, 0);
  context.lineTo(playhead + 6, 0);
  context.lineTo(playhead, 8);
  context.fill();
}

function line(context: CanvasRenderingContext2D, x: number, top: number, bottom: number, color: string, width: number) {
  context.fillStyle = color;
  context.fillRect(Math.round(x - width / 2), top, width, bottom - top);
}

function paintRuler(context: CanvasRenderingContext2D, { scale, heightPx, language }: Scene): void {
  for (const tick of ticks(scale, TICK_SPACING_PX, zoneOffsetMinutes)) {
    line(context, tick.px, RULER_PX - 4, heightPx, COLORS.tick, 1);
    context.fillStyle = tick.unit === "day" ? COLORS.day : COLORS.text;
    const write = { day: dayDate, minute: minuteTime, second: clockTime }[tick.unit];
    context.fillText(write(tick.ms, language), tick.px + 4, RULER_PX / 2 + 1);
  }
}

function paintLane(context: CanvasRenderingContext2D, scene: Scene, lane: Lane): void {
  const { scale } = scene;
  const { topPx, heightPx } = lane;
  const bar = (span: Span, color: string, barPx = heightPx) => {
    const left = Math.max(toPx(scale, span.fromMs), 0);
    const right = Math.min(toPx(scale, span.toMs), scale.widthPx);
    if (right <= left) return;
    context.fillStyle = color;
    // A gap of a second must not vanish when a day is on the screen.
    context.fillRect(left, topPx, Math.max(right - left, 1), barPx);
  };
  context.fillStyle = COLORS.lane;
  context.fillRect(0, topPx, scale.widthPx, heightPx);
  const timeline = scene.timelines.get(lane.camera);
  for (const range of timeline?.ranges ?? []) bar(range, RANGE_COLORS[range.kind]);
  for (const gap of timeline?.gaps ?? []) bar(gap, GAP_COLOR);
  for (const damage of timeline?.damage ?? []) bar(damage, DAMAGE_COLOR, DAMAGE_PX);
  bar({ fromMs: scene.nowMs, toMs: scale.toMs }, COLORS.future);
  if (timeline && lane.selected) paintActivity(context, scale, lane, timeline);
}

function paintActivity(context: CanvasRenderingContext2D, scale: TimeScale, lane: Lane, timeline: Timeline): void {
  const bottom = lane.topPx + lane.heightPx;
  context.fillStyle = COLORS.activity;
  for (const { fromMs, toMs, level } of timeline.activity) {
    const left = toPx(scale, fromMs);
    const right = toPx(scale, toMs);
    if (right < 0 || left > scale.widthPx || level <= 0.02) continue;
    const height = Math.min(level, 1) * (lane.heightPx - 6);
    context.fillRect(left, bottom - height, Math.max(right - left - 0.5, 1), height);
  }
}

/** A bar on the ruler's lower edge with a flag at its beginning. */
function paintIncidents(context: CanvasRenderingContext2D, { scale, incidents, nowMs, lanes: shown }: Scene): void {
  const cameras = new Set(shown.map(({ camera }) => camera));
  for (const incident of incidents) {
    if (!incident.cameras.some((camera) => cameras.has(camera))) continue;
    const left = toPx(scale, incident.from_us / 1000);
    const right = toPx(scale, incident.to_us === null ? nowMs : incident.to_us / 1000);
    if (right < 0 || left > scale.widthPx) continue;
    context.fillStyle = incident.status === "open" ? COLORS.incident : COLORS.closedIncident;
    context.fillRect(left, RULER_PX - 4, Math.max(right - left, 2), 3);
    context.beginPath();
    context.moveTo(left, RULER_PX - 13);
    context.lineTo(left + 9, RULER_PX - 9.5);
    context.lineTo(left, RULER_PX - 6);
    context.fill();
    context.fillRect(left - 1, RULER_PX - 13, 1.5, 12);
  }
}

/** A needle in the camera's lane, with a head that is seen in a narrow one, too. */
function paintEvents(context: CanvasRenderingContext2D, { scale, events, lanes: shown }: Scene): void {
  const lanes = new Map(shown.map((lane) => [lane.camera, lane]));
  for (const { camera, atMs, loudness } of events) {
    const lane = lanes.get(camera);
    const x = toPx(scale, atMs);
    if (!lane || x < 0 || x > scale.widthPx) continue;
    line(context, x, lane.topPx, lane.topPx + lane.heightPx, COLORS.event[loudness], 1.5);
    context.beginPath();
    context.arc(x, lane.topPx + 3, 3, 0, 2 * Math.PI);
    context.fill();
  }
}

function paintRange(context: CanvasRenderingContext2D, { scale, range, heightPx }: Scene): void {
  if (!range) return;
  const left = toPx(scale, range.fromMs);
  const right = toPx(scale, range.toMs);
  context.fillStyle = COLORS.range;
  context.fillRect(left, RULER_PX - 4, right - left, heightPx);
  line(context, left, RULER_PX - 4, heightPx, COLORS.rangeEdge, 2);
  line(context, right, RULER_PX - 4, heightPx, COLORS.rangeEdge, 2);
}
