/** Performs the actions of keys. */

import { chooseLanguage, language } from "../i18n/index.js";
import { NO_ZOOM, panStep, zoomStep } from "../model/digital-zoom.js";
import type { Action } from "../model/keys.js";
import { growTile, move, put, setLayout, tileAt, toggleEnlarged, toggleHotspot } from "../model/wall.js";
import type { App } from "./app.js";

/** "Five minutes ago": what a colleague on the telephone speaks of. */
const AGO_MS = 300_000;

/** Actions of the page itself. */
export interface Page {
  searchBox(): void;
}

/** False where the action does not apply: the browser then handles the key. */
export function perform(app: App, action: Action, page: Page): boolean {
  const { wall, playback, view } = app;
  switch (action.do) {
    case "move":
      if (app.zoom.value.scale > 1) {
        app.zoom.update((zoom) => panStep(zoom, action.direction));
        return true;
      }
      wall.update((state) => move(state, action.direction));
      return true;
    case "layout":
      wall.update((state) => setLayout(state, action.layout));
      return true;
    case "enlarge":
      wall.update((state) => toggleEnlarged(state, state.selected));
      return true;
    case "clear":
      wall.update((state) => put(state, state.selected, null));
      return true;
    case "grow":
      if (wall.value.enlarged !== null) {
        app.zoom.update((zoom) => zoomStep(zoom, action.by));
        return true;
      }
      wall.update((state) => growTile(state, state.selected, action.by));
      return true;
    case "hotspot":
      wall.update((state) => toggleHotspot(state, state.selected));
      return true;
    case "saved":
      void app.walls.openByKey(action.key);
      return true;
    case "walls":
      app.show({ dialog: { kind: "walls" } });
      return true;
    case "undo":
      app.arranging.undo();
      return true;
    case "redo":
      app.arranging.redo();
      return true;
    case "search":
      page.searchBox();
      return true;
    case "escape":
      return stepBack(app);
    case "language":
      chooseLanguage(localStorage, language.value === "id" ? "en" : "id");
      return true;
    case "help":
      app.show({ dialog: { kind: "help" } });
      return true;
    case "panel":
      app.show({ panel: !view.value.panel });
      return true;
    case "place":
      app.show({ dialog: { kind: "place" } });
      return true;
    case "health":
      app.show({ dialog: { kind: "health" } });
      return true;
    case "screens":
      if (app.me.value === null || app.may("operator")) app.toggle("screens");
      return true;
    case "incidents":
      app.toggle("incidents");
      return true;
    case "map":
      app.toggle("map");
      return true;
    case "events":
      app.toggle("events");
      return true;
    case "timeline":
      app.show({ timeline: !view.value.timeline });
      return true;
    case "fullscreen":
      toggleFullscreen();
      return true;
    case "mute":
      toggleSound(app);
      return true;
    case "export":
      if (app.may("operator")) app.show({ dialog: { kind: "export", incident: null } });
      return true;
    case "source":
      if (tileAt(wall.value, wall.value.selected).camera) playback.toggleTile(wall.value.selected);
      return true;
    case "live-all":
      playback.live();
      return true;
    case "ago":
      playback.goBack(AGO_MS);
      return true;
  }
  // Without the timeline I is what it was before there were marks.
  if (action.do === "mark" && action.edge === "from" && !view.value.timeline) {
    app.toggle("incidents");
    return true;
  }
  // The rest steers the clock: only while its panel is open, so that a stray key never takes a wall off live.
  if (!view.value.timeline) return false;
  switch (action.do) {
    case "play":
      playback.toggle();
      return true;
    case "reverse":
      playback.reverse();
      return true;
    case "step":
      playback.step(action.step);
      return true;
    case "rate":
      playback.changeRate(action.by);
      return true;
    case "skip":
      playback.skip(action.seconds);
      return true;
    case "mark":
      playback.mark(action.edge);
      return true;
    case "busiest":
      app.activity.showBusiest();
      return true;
    case "activity":
      void app.activity.jump(action.by);
      return true;
  }
}

function stepBack(app: App): boolean {
  const { wall, view } = app;
  if (app.picking.value !== null) app.placePicked(null);
  else if (app.zoom.value.scale > 1) app.zoom.set(NO_ZOOM);
  else if (wall.value.enlarged !== null) wall.update((state) => ({ ...state, enlarged: null }));
  else if (view.value.incidents) app.show({ incidents: false });
  else if (view.value.screens) app.show({ screens: false });
  else if (view.value.events) app.show({ events: false });
  else if (view.value.downloads) app.show({ downloads: false });
  else if (view.value.map) app.show({ map: false });
  else if (view.value.timeline && !app.playback.active) app.show({ timeline: false });
  else return false;
  return true;
}

export function toggleFullscreen(): void {
  // A browser may refuse (no user gesture, a kiosk's policy); the page then stays as it is.
  if (document.fullscreenElement) document.exitFullscreen().catch(() => undefined);
  else document.documentElement.requestFullscreen().catch(() => undefined);
}

export function toggleSound(app: App): void {
  if (app.wall.value.enlarged === null) return;
  app.unmuted.update((on) => !on);
  app.applyListening();
}
