/** The page's state and what keeps it up to date. Components read its observables and call its methods. */

import { Api, ApiError } from "../api/client.js";
import { EventStream } from "../api/events.js";
import type {
  CameraView,
  FrameMark,
  IceServer,
  Incident,
  Layout,
  Me,
  Notice,
  Role,
  ScreenView,
  SlotNotice,
  Trouble,
} from "../api/generated.js";
import { language, offerLocale } from "../i18n/index.js";
import { SessionKeeper } from "../media/keeper.js";
import { type Support, supportOf } from "../media/offer.js";
import { WallSession } from "../media/session.js";
import { Loudspeaker } from "../media/sound.js";
import { byName, type Seen, type SeenCameras } from "../model/cameras.js";
import { NO_ZOOM } from "../model/digital-zoom.js";
import { Observable } from "../model/observable.js";
import type { PlaceFields } from "../model/place-time.js";
import { arrangementOf, withCamera } from "../model/saved-wall.js";
import { siteNow } from "../model/site-clock.js";
import type { LinkPhase } from "../model/tile-status.js";
import { decode, encode, incidentIn, savedWallIn } from "../model/url-state.js";
import { WakeWatch } from "../model/wake.js";
import {
  enlargedCamera,
  fill,
  INITIAL_WALL,
  placeNext,
  select,
  showCameras,
  tileAt,
  tileCount,
  tileOf,
  visibleTiles,
  type WallState,
  wallCameras,
} from "../model/wall.js";
import { siteZone } from "../model/zone.js";
import { Activity } from "./activity.js";
import { Arranging } from "./arranging.js";
import { EventFeed } from "./event-feed.js";
import { Exports } from "./exports.js";
import { IdleLock } from "./idle-lock.js";
import { Playback } from "./playback.js";
import { Refresher } from "./refresher.js";
import { ScreenPage } from "./screen.js";
import { VersionWatch } from "./version.js";
import type { Panel, ViewState } from "./view.js";
import { SavedWalls } from "./walls.js";

export interface SlotView {
  notice: SlotNotice;
  receivedMs: number;
}

interface TileSize {
  widthPx: number;
  heightPx: number;
}

const RIGHT: readonly Panel[] = ["incidents", "screens", "events", "downloads", "map"];
const EMPTY_WALL: WallState = { ...INITIAL_WALL, layout: "1", automatic: null };
const CAMERAS_PERIOD_MS = 20_000;
const CAMERA_SPACING_MS = 2000;
const VERSION_PERIOD_MS = 60_000;
const IDLE_PERIOD_MS = 5000;
const WAKE_PERIOD_MS = 500;
const INCIDENTS_PERIOD_MS = 60_000;
/** ICE servers with short-lived credentials are reused for so long. */
const ICE_SERVERS_LAST_MS = 30_000;
/** Up to this width the camera list covers the wall (`app-root.ts`), so it is closed at first. */
const PHONE_PX = 760;
const ASK_H264_MS = 2000;
/** A page in the background stops its pictures after this. */
const ASLEEP_AFTER_MS = 10_000;
const GRANTS: Record<Role, readonly Role[]> = {
  viewer: ["viewer"],
  agency: ["agency"],
  operator: ["viewer", "operator"],
  supervisor: ["viewer", "operator", "supervisor"],
  admin: ["viewer", "agency", "operator", "supervisor", "admin"],
};

export class App {
  /** Set on a wall screen, which has no chrome and no address of its own. */
  readonly screen: ScreenPage | null;

  readonly me = new Observable<Me | null>(null);
  readonly cameras = new Observable<ReadonlyMap<string, CameraView> | null>(null);
  readonly troubles = new Observable<readonly Trouble[]>([]);
  readonly incidents = new Observable<readonly Incident[] | null>(null);
  /** How long footage of an incident without days of its own is held after its end; null: not known. */
  holdDays: number | null = null;
  readonly wall = new Observable<WallState>(INITIAL_WALL);
  readonly view = new Observable<ViewState>({
    panel: innerWidth > PHONE_PX,
    timeline: false,
    incidents: false,
    screens: false,
    events: false,
    downloads: false,
    map: false,
    dialog: null,
  });
  /** Whether the server answers, and since when it does or does not. */
  readonly server = new Observable<{ answers: boolean; sinceMs: number }>({ answers: true, sinceMs: siteNow() });
  /** Counts up when the tiles have to take their tracks again. */
  readonly tracks = new Observable(0);
  /** What live tiles of this page see of their cameras. */
  readonly seen = new Observable<SeenCameras>(new Map());
  /** The tile that shows already what was picked: it is pointed out. */
  readonly flash = new Observable<{ slot: number } | null>(null);
  /** The camera that the map is to go to. */
  readonly mapCentre = new Observable<string | null>(null);
  /** The fields of the form of place and time while its point is asked for on the map. */
  readonly picking = new Observable<PlaceFields | null>(null);
  readonly version = new VersionWatch();
  readonly idle = new IdleLock(localStorage);
  /** The server knows the sign-in no more: the page is locked until the same person signs in again. */
  readonly signInLost = new Observable(false);
  readonly unmuted = new Observable(false);
  /** Into the picture of the tile that fills the wall. */
  readonly zoom = new Observable(NO_ZOOM);
  readonly support = new Observable<Support>(supportOf());

  readonly api = new Api(
    (answers) => this.onAnswer(answers),
    () => this.onSignInLost(),
  );
  readonly keeper = new SessionKeeper(
    async (slots, opening, events) => {
      const { ice_servers } = await this.readMe(ICE_SERVERS_LAST_MS);
      return WallSession.open(this.api, ice_servers.map(rtcIceServer), slots, opening, events);
    },
    {
      replaced: () => {
        this.tracks.update((count) => count + 1);
        this.applyListening();
      },
      notice: (notice) => this.onNotice(notice),
    },
  );
  readonly walls = new SavedWalls(this.api, this.wall, () => this.me.value?.name ?? "");
  readonly arranging = new Arranging(this.wall);
  readonly playback = new Playback(this.api, this.keeper, this.wall, this.view, () => this.writeUrl());
  readonly activity = new Activity(this.api, this.playback, this.wall, this.view);
  readonly exports = new Exports(this.api);
  readonly feed = new EventFeed(
    {
      recentEvents: async () => {
        await this.readMe(Number.POSITIVE_INFINITY);
        return this.may("viewer") ? this.api.recentEvents() : [];
      },
      acknowledge: (events) => this.api.acknowledge(events),
    },
    localStorage,
  );
  private readonly loudspeaker = new Loudspeaker();

  private readonly slots = new Map<number, Observable<SlotView | null>>();
  private readonly marks = new Map<number, FrameMark>();
  private readonly cameraReadMs = new Map<string, number>();
  private readonly tilesSee = new Map<number, { camera: string | null; seen: Seen | null }>();
  private readonly sizes = new Map<number, TileSize>();
  /** The wall that this person opened last is open, or there is none. */
  private begun: Promise<void> = Promise.resolve();
  private asleep = false;
  private camerasShown = "";
  private zoomedInto: string | null = null;
  private meReadMs = 0;
  private readonly camerasReader = new Refresher(() => this.readCameras(), CAMERAS_PERIOD_MS);
  private readonly incidentsReader = new Refresher(() => this.readIncidents(), INCIDENTS_PERIOD_MS);
  private readonly events = new EventStream(
    this.api.eventsUrl,
    (kind) => {
      this.feed.trigger();
      if (kind === "camera") this.camerasReader.trigger();
      else if (kind === "incident") this.incidentsReader.trigger();
      else if (kind === "recording") this.playback.recordingsChanged();
    },
    () => {
      this.feed.trigger();
      this.camerasReader.trigger();
      this.incidentsReader.trigger();
    },
  );

  constructor(screen: string | null = null) {
    this.screen = screen === null ? null : new ScreenPage(screen, this.api, this.wall);
  }

  start(): void {
    const fromUrl = this.screen ? { wall: EMPTY_WALL, atMs: null } : decode(location.hash);
    this.wall.set(fromUrl.wall);
    this.wall.subscribe(() => this.onWall());
    this.keeper.link.subscribe(() => this.applyListening());
    if (this.screen) this.screen.start();
    else this.begin();
    this.camerasReader.trigger();
    this.incidentsReader.trigger();
    this.events.start();
    if (fromUrl.atMs !== null) this.playback.restore(fromUrl.atMs);
    if (!this.wall.value.automatic) this.onWall();
    for (const touch of ["pointerdown", "keydown"]) window.addEventListener(touch, () => this.onTouch());
    window.addEventListener("storage", () => this.idle.follow());
    this.asleep = this.locked;
    this.idle.locked.subscribe(() => this.onLocked());
    if (!this.screen) setInterval(() => this.idle.look(this.me.value?.session ?? ""), IDLE_PERIOD_MS);
    setInterval(() => this.lookForVersion(), VERSION_PERIOD_MS);
    const wake = new WakeWatch();
    setInterval(() => wake.look() && this.onWake(), WAKE_PERIOD_MS);
    window.addEventListener("hashchange", ({ newURL }) => this.onHash(new URL(newURL).hash));
    window.addEventListener("pagehide", () => this.keeper.stop());
    window.addEventListener("pageshow", (event) => event.persisted && location.reload());
    if (this.support.value === "no-h264") this.awaitH264();
    let sleepTimer: ReturnType<typeof setTimeout> | undefined;
    document.addEventListener("visibilitychange", () => {
      clearTimeout(sleepTimer);
      if (document.hidden) sleepTimer = setTimeout(() => this.setAsleep(true), ASLEEP_AFTER_MS);
      else this.setAsleep(this.locked);
    });
  }

  private begin(): void {
    const incident = incidentIn(location.hash);
    const named = savedWallIn(location.hash);
    this.begun = this.walls.begin(named, location.hash === "" || incident !== null).then(() => {
      if (named !== null && this.walls.lacks(named)) this.show({ dialog: { kind: "walls", missing: true } });
    });
    if (incident !== null) this.show({ dialog: { kind: "incident-page", id: incident } });
  }

  /** Nothing that the page knows is of now. */
  private onWake(): void {
    this.keeper.startAnew();
    this.feed.trigger();
    this.camerasReader.trigger();
    this.incidentsReader.trigger();
  }

  /** Whether there is somebody to sign out and to lock the page for. */
  get signedIn(): boolean {
    return (this.me.value?.session ?? "") !== "";
  }

  private onTouch(): void {
    this.version.touched();
    this.idle.touched();
  }

  /** A wall screen in the same browser shows on: it has no person, and nobody to unlock it. */
  private get locked(): boolean {
    return this.screen === null && this.idle.locked.value;
  }

  /** What is being written stays on a locked page. One that is loaded again would have lost it. */
  private onSignInLost(): void {
    const session = this.me.value?.session ?? "";
    if (this.screen !== null || session === "") {
      reloadForSignIn();
      return;
    }
    this.signInLost.set(true);
    if (!this.idle.locked.value) this.idle.lock(session);
  }

  /** A locked page shows and plays nothing. */
  private onLocked(): void {
    if (this.locked) this.unmuted.set(false);
    else if (this.screen === null) this.onUnlocked();
    this.applyListening();
    this.setAsleep(document.hidden || this.locked);
  }

  /** Who unlocked it, here or on another page, has a new sign-in. */
  private onUnlocked(): void {
    this.signInLost.set(false);
    this.refreshMe().catch(() => undefined);
    this.camerasReader.trigger();
    this.incidentsReader.trigger();
  }

  private lookForVersion(): void {
    // What is written in a dialog is not in the address, so a page that is loaded anew has lost it.
    this.version.look(this.playback.active || this.view.value.dialog !== null);
    this.readMe(VERSION_PERIOD_MS).catch(() => undefined);
  }

  private awaitH264(): void {
    const timer = setInterval(() => {
      this.support.set(supportOf());
      if (this.support.value === "no-h264") return;
      clearInterval(timer);
      this.onWall();
    }, ASK_H264_MS);
  }

  /** Whether pictures can come just now, as far as the browser and the session go. */
  get link(): { phase: LinkPhase; sinceMs: number } {
    const { value } = this.support;
    return value === "yes" ? this.keeper.link.value : { phase: value, sinceMs: 0 };
  }

  /** Whether the signed-in person holds `role`. */
  may(role: Role): boolean {
    const me = this.me.value;
    return me !== null && GRANTS[me.role].includes(role);
  }

  slot(index: number): Observable<SlotView | null> {
    let found = this.slots.get(index);
    if (!found) {
      found = new Observable<SlotView | null>(null);
      this.slots.set(index, found);
    }
    return found;
  }

  /** Whether the signed-in person may change what somebody saved for walls. */
  mayChange({ owner }: Pick<Layout, "owner">): boolean {
    return owner === this.me.value?.name || this.may("supervisor");
  }

  /** A tile tells what it sees of its camera; null: nothing that would say anything of it. */
  tileSees(index: number, camera: string | null, seen: Seen | null): void {
    const before = this.tilesSee.get(index);
    if (before?.camera === camera && before?.seen === seen) return;
    this.tilesSee.set(index, { camera, seen });
    const cameras = new Map<string, Seen>();
    for (const { camera: id, seen: what } of this.tilesSee.values()) {
      if (id !== null && what !== null && cameras.get(id) !== "stale") cameras.set(id, what);
    }
    this.seen.set(cameras);
  }

  mark(index: number): FrameMark | undefined {
    return this.marks.get(index);
  }

  setTileSize(index: number, widthPx: number, heightPx: number): void {
    this.sizes.set(index, { widthPx, heightPx });
    this.applyWishes();
  }

  /** Sends the wall as it is to a screen; raises `ApiError`. */
  async sendWall(screen: string): Promise<void> {
    await this.api.showOnScreen(screen, { wall: arrangementOf(this.wall.value) });
  }

  /** Sends one camera to a screen: into its first empty tile, else alone; raises `ApiError`. */
  async sendCamera(screen: ScreenView, camera: string): Promise<void> {
    await this.api.showOnScreen(screen.id, { wall: withCamera(screen.wall, camera) });
  }

  show(changes: Partial<ViewState>): void {
    this.view.update((view) => ({ ...view, ...changes }));
  }

  /** Opens or closes a panel; those on the right take one place. */
  toggle(panel: Panel): void {
    const open = !this.view.value[panel];
    const others =
      RIGHT.includes(panel) && open
        ? { incidents: false, screens: false, events: false, downloads: false, map: false }
        : {};
    this.show({ ...others, [panel]: open });
  }

  /** The map around a camera. */
  showAround(camera: string): void {
    if (!this.view.value.map) this.toggle("map");
    this.mapCentre.set(camera);
  }

  /** Asks for the point of place and time on the map. */
  pickPlace(fields: PlaceFields): void {
    this.picking.set(fields);
    this.show({ dialog: null });
    if (!this.view.value.map) this.toggle("map");
  }

  /** The form of place and time comes back, with the point where one was picked. */
  placePicked(point: string | null): void {
    const fields = this.picking.value;
    if (fields === null) return;
    this.picking.set(null);
    this.show({ dialog: { kind: "place", fields: { ...fields, place: point ?? fields.place } } });
  }

  camera(id: string | null): CameraView | undefined {
    return id === null ? undefined : this.cameras.value?.get(id);
  }

  /** Puts a camera into the selected tile; where it is on the wall already it is pointed out there. */
  place(camera: string): void {
    const shown = tileOf(this.wall.value, camera);
    this.wall.update((wall) => placeNext(wall, camera));
    if (shown !== null) this.flash.set({ slot: shown });
  }

  /** The recorded wall at a moment, the camera's tile selected where it has one. */
  goTo(camera: string | null, atMs: number): void {
    const tile = this.wall.value.tiles.findIndex((each) => each.camera === camera);
    if (tile >= 0) this.wall.update((wall) => select(wall, tile));
    this.playback.seek(atMs);
  }

  /** Reads one camera again: for what changes without an event, such as when it is tried next. */
  async refreshCamera(id: string): Promise<void> {
    const nowMs = performance.now();
    if (nowMs - (this.cameraReadMs.get(id) ?? Number.NEGATIVE_INFINITY) < CAMERA_SPACING_MS) return;
    this.cameraReadMs.set(id, nowMs);
    const camera = await this.api.camera(id).catch(() => null);
    if (camera) this.cameras.update((known) => known && new Map(known).set(id, camera));
  }

  /** An incident's cameras on the wall, from its beginning on; undone, all is as it was. */
  showIncident({ cameras, from_us, to_us }: Pick<Incident, "cameras" | "from_us" | "to_us">): void {
    const { playback } = this;
    const before = {
      active: playback.active,
      atMs: playback.nowMs(),
      range: playback.range.value,
      view: this.view.value,
    };
    this.wall.update((wall) => showCameras(wall, cameras));
    this.show({ timeline: true, dialog: null });
    playback.range.set({ fromMs: from_us / 1000, toMs: to_us === null ? siteNow() : to_us / 1000 });
    this.arranging.alsoUndo(() => {
      playback.range.set(before.range);
      this.show({ timeline: before.view.timeline });
      if (before.active) playback.seek(before.atMs);
      else playback.live();
    });
    playback.seek(from_us / 1000);
  }

  refreshCameras(): void {
    this.camerasReader.trigger();
  }

  /** What the person has changed of their account is read again; rejects with `ApiError`. */
  async refreshMe(): Promise<void> {
    await this.readMe(0);
  }

  refreshIncidents(): void {
    this.incidentsReader.trigger();
  }

  /** Puts the wall as it is into the address bar; `step`: the browser's Back leads to what stood there. */
  writeUrl(step = false): void {
    if (this.screen) return;
    const fragment = encode({ wall: this.wall.value, atMs: this.playback.urlMs() });
    if (`#${fragment}` === location.hash || (fragment === "" && location.hash === "")) return;
    const address = fragment === "" ? location.pathname + location.search : `#${fragment}`;
    if (step) history.pushState(null, "", address);
    else history.replaceState(null, "", address);
  }

  private onAnswer(answers: boolean): void {
    if (this.server.value.answers !== answers) this.server.set({ answers, sinceMs: siteNow() });
  }

  /** Who is signed in; asked again where the last answer is older than `lastMs`. */
  private async readMe(lastMs: number): Promise<Me> {
    const known = this.me.value;
    if (known !== null && performance.now() - this.meReadMs < lastMs) return known;
    const me = await this.api.me();
    // What one person has read and is writing is not the next one's, who signed in on another page of the browser.
    if (known !== null && known.name !== me.name && this.screen === null) location.reload();
    this.meReadMs = performance.now();
    this.me.set(me);
    this.version.told(me.version);
    this.idle.signedIn(me.session);
    siteZone.set(me.time_zone);
    offerLocale(localStorage, me.locale);
    return me;
  }

  private async readCameras(): Promise<void> {
    const [cameras] = await Promise.all([
      this.api.cameras().catch(noneIfForbidden),
      this.readMe(Number.POSITIVE_INFINITY),
      this.begun,
    ]);
    this.cameras.set(new Map(byName(cameras, language.value).map((camera) => [camera.id, camera])));
    this.fillWall();
    if (this.keeper.session === null) this.onWall();
    // A partner who was granted cameras is told nothing of the mesh.
    this.troubles.set(this.may("viewer") ? await this.api.troubles() : []);
  }

  /** Where nobody has arranged the wall. */
  private fillWall(): void {
    const { value } = this.cameras;
    if (value === null) return;
    const enabled = [...value.values()].filter((camera) => camera.enabled).map((camera) => camera.id);
    this.wall.update((wall) => fill(wall, enabled));
  }

  private async readIncidents(): Promise<void> {
    const { rights } = await this.readMe(Number.POSITIVE_INFINITY);
    if (!rights.includes("incidents")) {
      this.incidents.set([]);
      return;
    }
    const { incidents, hold_days } = await this.api.incidents();
    this.holdDays = hold_days ?? null;
    this.incidents.set(incidents);
  }

  /** `hash` stood in the address bar when it was changed; `writeUrl` may have been faster than the event. */
  private onHash(hash: string): void {
    if (location.hash !== hash) history.replaceState(null, "", hash || location.pathname + location.search);
    const incident = incidentIn(hash);
    if (incident !== null) {
      this.show({ dialog: { kind: "incident-page", id: incident } });
      return;
    }
    const named = savedWallIn(hash);
    if (named !== null) {
      const found = this.walls.layouts.value?.find(({ id }) => id === named);
      if (found) this.walls.open(found);
      else location.reload();
      return;
    }
    const { wall, atMs } = decode(hash);
    if (encode({ wall, atMs }) === encode({ wall: this.wall.value, atMs: this.playback.urlMs() })) return;
    this.wall.set(wall);
    if (atMs !== null) this.playback.restore(atMs);
    this.fillWall();
  }

  private onWall(): void {
    const step = this.arranging.onWall();
    const cameras = wallCameras(this.wall.value).join();
    if (cameras !== this.camerasShown) this.playback.camerasChanged();
    this.camerasShown = cameras;
    const enlarged = enlargedCamera(this.wall.value);
    if (enlarged !== this.zoomedInto) this.zoom.set(NO_ZOOM);
    this.zoomedInto = enlarged;
    this.applyWishes();
    if (this.support.value === "yes") this.keeper.need(tileCount(this.wall.value));
    this.applyListening();
    this.writeUrl(step);
  }

  applyListening(): void {
    const { enlarged } = this.wall.value;
    const heard = this.unmuted.value ? enlarged : null;
    this.keeper.listen(heard);
    this.loudspeaker.play(heard === null ? null : (this.keeper.session?.audio ?? null));
  }

  private applyWishes(): void {
    visibleTiles(this.wall.value).forEach((tile, index) => {
      const size = this.asleep ? undefined : this.sizes.get(index);
      const { widthPx, heightPx } = size ?? { widthPx: 0, heightPx: 0 };
      this.keeper.wish(index, { ...tile, widthPx, heightPx });
    });
  }

  private setAsleep(asleep: boolean): void {
    if (this.asleep === asleep) return;
    this.asleep = asleep;
    this.applyWishes();
  }

  private recordedNotices(): (SlotNotice | null)[] {
    return visibleTiles(this.wall.value).flatMap(({ camera, source }, index) => {
      if (camera === null || source !== "recorded") return [];
      const notice = this.slot(index).value?.notice ?? null;
      return [notice?.camera === camera && notice.source === source ? notice : null];
    });
  }

  private onNotice(notice: Notice): void {
    if (notice.type === "slot") {
      if (notice.camera === tileAt(this.wall.value, notice.slot).camera) {
        this.slot(notice.slot).set({ notice, receivedMs: siteNow() });
      }
    } else if (notice.type === "mark") this.marks.set(notice.slot, notice);
    else if (notice.type === "clock") this.playback.onClock();
    if (notice.type === "slot" || notice.type === "clock") this.playback.overGap(this.recordedNotices());
  }
}

function noneIfForbidden(error: unknown): CameraView[] {
  if (error instanceof ApiError && error.status === 403) return [];
  throw error;
}

/** Without the nulls: a browser would take them for the text "null". */
function rtcIceServer({ urls, username, credential }: IceServer): RTCIceServer {
  return { urls, ...(username !== null && { username }), ...(credential !== null && { credential }) };
}

const RELOADED_KEY = "pantau.reloaded";
const RELOAD_SPACING_MS = 10_000;

/** Reloads, so that the server shows its sign-in; at most once in `RELOAD_SPACING_MS`, so never in a loop. */
function reloadForSignIn(): void {
  const last = Number(sessionStorage.getItem(RELOADED_KEY) ?? 0);
  if (Date.now() - last < RELOAD_SPACING_MS) return;
  sessionStorage.setItem(RELOADED_KEY, String(Date.now()));
  location.reload();
}
