/** One tile: a camera's picture, its name and state, and why there is no picture when there is none. */

import { html, LitElement, nothing, type PropertyValues, type TemplateResult } from "lit";
import { customElement, property, query, state } from "lit/decorators.js";
import type { App } from "../app/app.js";
import { toggleSound } from "../app/perform.js";
import { language, t } from "../i18n/index.js";
import { Picture, type PictureState } from "../media/picture.js";
import { stillFile, stillName } from "../media/still-file.js";
import { type DigitalZoom, NO_ZOOM, zoomStep, zoomTransform } from "../model/digital-zoom.js";
import { placeOf } from "../model/filling.js";
import { duration, momentTime, sinceTime } from "../model/format.js";
import { allowanceMs } from "../model/freshness.js";
import { momentText } from "../model/moment.js";
import { captureTimeUs } from "../model/rtp.js";
import { displayRatio } from "../model/scale.js";
import { siteNow } from "../model/site-clock.js";
import { seenOf, type TileInput, type TileMessage, tileBadges, tileMark, tileMessage } from "../model/tile-status.js";
import { drop, put, select, swap, type TileState, tileAt, toggleEnlarged } from "../model/wall.js";
import { beat } from "./beat.js";
import { accepts, dragTile, dropped } from "./drag.js";
import { type IconName, icon } from "./icons.js";
import { PanZoom } from "./pan-zoom.js";
import { statusMark } from "./status-mark.js";
import { shared } from "./styles.js";
import { wallTileStyles } from "./wall-tile.styles.js";
import { Watch } from "./watch.js";

const SIZE_SETTLE_MS = 120;
const FLASH_MS = 400;

@customElement("pantau-wall-tile")
export class WallTile extends LitElement {
  static override styles = [shared, wallTileStyles];

  @property({ attribute: false }) app!: App;
  @property({ attribute: false }) index = 0;
  @property({ type: Boolean, reflect: true }) selected = false;
  @property({ type: Boolean, reflect: true }) enlarged = false;
  @state() private pictureState: PictureState = { hasPicture: false, staleSinceMs: null };
  @state() private dropTarget = false;
  @query("video") private video!: HTMLVideoElement;
  @query("canvas") private canvas!: HTMLCanvasElement;
  private picture: Picture | null = null;
  private sizeTimer: ReturnType<typeof setTimeout> | undefined;
  private unfollow: (() => void) | undefined;
  private readonly resize = new ResizeObserver(([entry]) => entry && this.onResize(entry.contentRect));

  constructor() {
    super();
    new Watch(this, () => [
      this.app.wall,
      this.app.cameras,
      this.app.keeper.link,
      this.app.keeper.clock,
      this.app.support,
      this.app.unmuted,
      this.app.zoom,
      this.app.me,
    ]);
    new PanZoom(
      this,
      () => (this.enlarged && this.tile.camera !== null ? this.app.zoom : null),
      () => this.renderRoot.querySelector(".screen"),
    );
  }

  override connectedCallback(): void {
    super.connectedCallback();
    this.tabIndex = -1;
    this.setAttribute("role", "group");
    this.addEventListener("click", this.onClick);
    this.addEventListener("dblclick", this.onDoubleClick);
    this.addEventListener("dragover", this.onDragOver);
    this.addEventListener("dragleave", this.onDragLeave);
    this.addEventListener("drop", this.onDrop);
    this.addEventListener("dragstart", this.onDragStart);
    this.resize.observe(this);
    const endings = [
      beat.follow(() => this.check()),
      beat.followSeconds(() => this.checkEachSecond()),
      this.app.slot(this.index).subscribe((view) => {
        if (view) this.picture?.onNotice(view.notice);
        this.requestUpdate();
      }),
      this.app.tracks.subscribe(() => this.takeTrack()),
      this.app.flash.subscribe((flash) => flash?.slot === this.index && this.pointOut()),
    ];
    this.unfollow = () => {
      for (const end of endings) end();
    };
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.resize.disconnect();
    clearTimeout(this.sizeTimer);
    this.unfollow?.();
    this.picture?.release();
  }

  protected override firstUpdated(): void {
    this.picture = new Picture(
      this.video,
      this.canvas,
      (picture) => {
        this.pictureState = picture;
      },
      (rtp) => this.app.keeper.saw(this.index, rtp),
    );
    this.takeTrack();
  }

  protected override willUpdate(): void {
    this.picture?.aim(this.tile.camera, this.tile.source);
  }

  protected override updated(changed: PropertyValues<this>): void {
    if (!this.picture) return;
    this.picture.aim(this.tile.camera, this.tile.source);
    this.picture.followFrames(this.enlarged);
    this.tabIndex = this.selected ? 0 : -1;
    this.draggable = this.tile.camera !== null && this.zoom.scale === 1;
    this.setAttribute("aria-label", this.label());
    this.dataset.camera = this.tile.camera ?? "";
    this.dataset.source = this.tile.source;
    this.dataset.state = this.message()?.tone ?? "ok";
    this.app.tileSees(this.index, this.tile.camera, seenOf(this.input()));
    if (changed.has("selected") && this.selected && document.activeElement?.shadowRoot?.activeElement !== null) {
      const within = this.getRootNode() as ShadowRoot;
      if (within.activeElement instanceof WallTile) this.focus();
    }
  }

  private get zoom(): DigitalZoom {
    return this.enlarged ? this.app.zoom.value : NO_ZOOM;
  }

  private get tile(): TileState {
    return tileAt(this.app.wall.value, this.index);
  }

  private takeTrack(): void {
    const session = this.app.keeper.session;
    this.picture?.setTrack(session?.video[this.index] ?? null);
    const view = this.app.slot(this.index).value;
    if (view) this.app.slot(this.index).set(null);
  }

  private pointOut(): void {
    const edge = this.renderRoot.querySelector(".edge");
    edge?.animate([{ boxShadow: "inset 0 0 0 6px var(--focus)" }, { boxShadow: "inset 0 0 0 6px transparent" }], {
      duration: FLASH_MS,
      iterations: 2,
    });
  }

  private onResize({ width, height }: DOMRectReadOnly): void {
    clearTimeout(this.sizeTimer);
    const px = (length: number) => Math.round(length * displayRatio());
    const reportSize = () => this.app.setTileSize(this.index, px(width), px(height));
    if (this.picture === null || width === 0) reportSize();
    else this.sizeTimer = setTimeout(reportSize, SIZE_SETTLE_MS);
  }

  private check(): void {
    const wasStale = this.pictureState.staleSinceMs !== null;
    this.picture?.check(!document.hidden && !this.hidden, this.allowanceMs());
    // Sending the size again detects a relay that has gone.
    if (!wasStale && this.pictureState.staleSinceMs !== null) this.app.keeper.probe(this.index);
  }

  private allowanceMs(): number {
    const { camera, source } = this.tile;
    const { profile, limited } = this.app.slot(this.index).value?.notice ?? { profile: null, limited: "none" };
    const reports = this.app.camera(camera)?.state?.profiles;
    const framesPerSecond = reports?.[profile ?? "main"]?.frame_rate ?? 0;
    return allowanceMs({
      source,
      framesPerSecond,
      keyframesOnly: limited === "keyframes",
      rate: this.app.playback.rate.value,
    });
  }

  private checkEachSecond(): void {
    if (this.tile.source === "recorded" && !document.hidden && !this.hidden) {
      this.picture?.measureDelay((delayMs) => this.app.playback.noteDelay(this.index, delayMs));
    }
    const message = this.message();
    if (this.enlarged || this.tile.source === "recorded" || message?.pictureMs || message?.retryMs)
      this.requestUpdate();
    const asking = message?.tone === "fault" && this.tile.source === "live" && (message.retryMs ?? 0) < siteNow();
    if (asking && this.tile.camera !== null && this.app.link.phase === "open")
      void this.app.refreshCamera(this.tile.camera);
  }

  private readonly onClick = () => this.app.wall.update((wall) => select(wall, this.index));

  private readonly onDoubleClick = () => this.app.wall.update((wall) => toggleEnlarged(wall, this.index));

  private async saveStill(): Promise<void> {
    const { camera } = this.tile;
    if (camera === null) return;
    // Nobody has looked at each frame of a live tile among others.
    if (this.tile.source === "live" && !this.enlarged) await this.picture?.awaitFrame();
    // Until another camera's first picture has come the video holds the one before, which is not to get its name.
    if (this.tile.camera !== camera || !this.pictureState.hasPicture) return;
    const stampedMs = this.tile.source === "recorded" ? this.recordedTimeMs() : this.markedTimeMs(1);
    // Where no next frame came, as of a camera that has stopped, the picture is as old as its coming.
    const takenMs = stampedMs ?? this.picture?.cameMs ?? siteNow();
    const moment = momentText(takenMs);
    const blob = await stillFile(this.video, `${this.app.camera(camera)?.name ?? camera} · ${moment}`);
    if (!blob) return;
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = stillName(camera, moment);
    link.click();
    URL.revokeObjectURL(link.href);
  }

  private readonly onDragStart = (event: DragEvent) => dragTile(event, this.index);

  private readonly onDragOver = (event: DragEvent) => {
    if (!accepts(event)) return;
    event.preventDefault();
    this.dropTarget = true;
  };

  private readonly onDragLeave = () => {
    this.dropTarget = false;
  };

  private readonly onDrop = (event: DragEvent) => {
    this.dropTarget = false;
    const what = dropped(event);
    if (!what) return;
    event.preventDefault();
    if (what.kind === "tile") this.app.wall.update((wall) => swap(wall, what.index, this.index));
    else this.app.wall.update((wall) => drop(wall, this.index, what.id));
  };

  private input(): TileInput {
    const { camera, source } = this.tile;
    const view = this.app.slot(this.index).value;
    return {
      camera,
      source,
      entry: this.app.camera(camera),
      catalogueKnown: this.app.cameras.value !== null,
      link: this.app.link,
      notice: view?.notice ?? null,
      noticeMs: view?.receivedMs ?? siteNow(),
      ...this.pictureState,
    };
  }

  private message(): TileMessage | null {
    return tileMessage(this.input());
  }

  private label(): string {
    const { camera, source } = this.tile;
    const number = this.index + 1;
    if (camera === null) return t("tile.label.empty", { number });
    const message = this.message();
    const status = message ? t(message.title) : t(`tile.status.${source}`);
    return t("tile.label", { number, name: this.app.camera(camera)?.name ?? camera, status });
  }

  private overlay(): TemplateResult | typeof nothing {
    const message = this.message();
    if (!message) return nothing;
    const nowMs = siteNow();
    const since = message.sinceMs === null ? null : sinceTime(message.sinceMs, nowMs, language.value);
    return html`<div class="message ${message.tone}" part="message"><div class="plate">
      ${icon(message.icon)}
      <strong>${t(message.title)}</strong>
      ${message.reason ? html`<span class="reason">${t(message.reason)}</span>` : nothing}
      ${message.detail && this.app.may("admin") ? html`<span class="detail" lang="en">${message.detail}</span>` : nothing}
      ${since ? html`<span class="since">${t("tile.since", { since })}</span>` : nothing}
      ${message.pictureMs === null ? nothing : html`<span class="age">${t("tile.age", { age: duration(nowMs - message.pictureMs) })}</span>`}
      ${message.retryMs === null ? nothing : html`<span class="retry">${retryText(message.retryMs - nowMs)}</span>`}
    </div></div>`;
  }

  private head(): TemplateResult | typeof nothing {
    const { camera, source } = this.tile;
    if (camera === null) return nothing;
    const entry = this.app.camera(camera);
    const input = this.input();
    const badges = tileBadges(input);
    return html`<div class="head">
      <span class="number" aria-hidden="true">${this.index + 1}</span>
      <span class="name">${statusMark(tileMark(input))}<span>${entry?.name ?? camera}</span></span>
      <span class="badges">
        ${badges.map(
          (badge) =>
            html`<span class="badge ${badge.tone}" title=${badge.reason ? t(badge.reason) : ""}>${t(badge.key)}</span>`,
        )}
        ${this.pictureTime() ?? (source === "recorded" ? html`<span class="badge recorded">${t("badge.recorded")}</span>` : nothing)}
      </span>
    </div>`;
  }

  private tool(name: IconName, label: string, action: () => void): TemplateResult {
    return html`<button class="icon-only" tabindex="-1" title=${label} aria-label=${label}
      @dblclick=${(event: Event) => event.stopPropagation()}
      @click=${(event: Event) => {
        event.stopPropagation();
        action();
      }}>${icon(name)}</button>`;
  }

  private tools(): TemplateResult | typeof nothing {
    const { camera, source } = this.tile;
    if (camera === null) return nothing;
    const { app, index } = this;
    const recorded = source === "recorded";
    const audible = this.enlarged && !recorded && app.camera(camera)?.audio === true;
    const unmuted = app.unmuted.value;
    const known = app.camera(camera);
    const replayable = !app.playback.active && (known?.record === true || known?.owner_id != null);
    return html`<div class="tools">
      ${audible ? this.tool(unmuted ? "sound" : "mute", t(unmuted ? "tile.mute" : "tile.sound"), () => toggleSound(app)) : nothing}
      ${
        this.enlarged
          ? [
              this.tool("zoom-in", t("tile.zoom-in"), () => app.zoom.update((zoom) => zoomStep(zoom, 1))),
              this.tool("zoom-out", t("tile.zoom-out"), () => app.zoom.update((zoom) => zoomStep(zoom, -1))),
            ]
          : nothing
      }
      ${replayable ? this.tool("replay", t("tile.replay"), () => app.playback.replay(index)) : nothing}
      ${
        placeOf(app.camera(camera)) === null ? nothing : this.tool("near", t("tile.near"), () => app.showAround(camera))
      }
      ${
        app.screen === null && app.may("supervisor")
          ? this.tool("saw", t("tile.saw"), () => app.show({ dialog: { kind: "audit", camera, person: null } }))
          : nothing
      }
      ${this.tool("still", t("tile.still"), () => void this.saveStill())}
      ${this.tool(recorded ? "live" : "record", t(recorded ? "tile.to-live" : "tile.to-recorded"), () => app.playback.toggleTile(index))}
      ${this.tool(this.enlarged ? "shrink" : "enlarge", t(this.enlarged ? "tile.shrink" : "tile.enlarge"), this.onDoubleClick)}
      ${this.tool("close", t("tile.clear"), () => app.wall.update((wall) => put(wall, index, null)))}
    </div>`;
  }

  /** The picture's own time, as the camera or the ingest stamped it: of each recorded tile, and of an enlarged one. */
  private pictureTime(): TemplateResult | null {
    const recorded = this.tile.source === "recorded";
    if (!(recorded || this.enlarged) || this.message() !== null || !this.pictureState.hasPicture) return null;
    const takenMs = recorded ? this.recordedTimeMs() : this.markedTimeMs(1);
    if (takenMs === null) return null;
    const time = momentTime(takenMs, siteNow(), language.value);
    const label = recorded ? t("badge.recorded") : t("badge.live");
    return html`<time class="picture-time ${this.tile.source}" title=${label} aria-label=${`${label} ${time}`}>${time}</time>`;
  }

  private recordedTimeMs(): number | null {
    const { playback } = this.app;
    // While the clock stands it stands at the picture.
    return playback.playing ? this.markedTimeMs(playback.rate.value) : playback.nowMs();
  }

  private markedTimeMs(rate: number): number | null {
    const rtp = this.picture?.lastRtp ?? null;
    const mark = this.app.mark(this.index);
    return rtp === null || !mark ? null : captureTimeUs(rtp, mark, rate) / 1000;
  }

  override render(): TemplateResult {
    const dim = this.message() !== null && this.pictureState.hasPicture;
    return html`
      <div class="screen ${dim ? "dim" : ""}"><div class="zoomed" .style=${`transform: ${zoomTransform(this.zoom)}`}><video muted playsinline disablepictureinpicture></video><canvas></canvas></div></div>
      ${this.overlay()} ${this.head()} ${this.tools()}
      <div class="edge ${this.dropTarget ? "drop" : ""}"></div>
    `;
  }
}

function retryText(ms: number): string {
  return ms > 0 ? t("tile.retry", { seconds: Math.ceil(ms / 1000) }) : t("tile.retrying");
}

declare global {
  interface HTMLElementTagNameMap {
    "pantau-wall-tile": WallTile;
  }
}
