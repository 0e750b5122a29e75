/** The health board: which cameras are not well, the worst first, since when, why, and their last picture. */

import { html, LitElement, nothing, type TemplateResult } from "lit";
import { customElement, property, query, state } from "lit/decorators.js";
import { repeat } from "lit/directives/repeat.js";
import type { App } from "../app/app.js";
import { reasonText, stateWords } from "../app/state-words.js";
import { language, t } from "../i18n/index.js";
import type { ShownStatus } from "../model/cameras.js";
import { lasting, sinceTime } from "../model/format.js";
import {
  BY_SEVERITY,
  GROUPINGS,
  type Grouping,
  type HealthGroup,
  type HealthLine,
  type HealthRow,
  healthLines,
  healthRows,
  statusCounts,
} from "../model/health.js";
import { search } from "../model/search.js";
import { siteNow } from "../model/site-clock.js";
import { showCameras } from "../model/wall.js";
import { healthDialogStyles } from "./health-dialog.styles.js";
import { icon } from "./icons.js";
import { statusMark } from "./status-mark.js";
import { form, shared } from "./styles.js";
import { VirtualRows } from "./virtual-rows.js";
import { Watch } from "./watch.js";
import "./last-picture.js";
import "./modal.js";

const MOST_TILES = 64;
/** As `health-dialog.styles.ts` has them. */
const ROW_PX = 68;
const PHONE_ROW_PX = 140;
const PHONE = "(max-width: 760px)";
const REFRESH_MS = 5000;

@customElement("pantau-health-dialog")
export class HealthDialog extends LitElement {
  static override styles = [shared, form, healthDialogStyles];

  @property({ attribute: false }) app!: App;
  @state() private text = "";
  @state() private statuses: ReadonlySet<ShownStatus> = new Set();
  @state() private by: Grouping = "none";
  @state() private folded: ReadonlySet<string> = new Set();
  @query("select") private grouping!: HTMLSelectElement;
  private timer: ReturnType<typeof setInterval> | undefined;
  private readonly rows: VirtualRows = new VirtualRows(
    this,
    () => this.renderRoot.querySelector<HTMLElement>("ul.board"),
    () => (matchMedia(PHONE).matches ? PHONE_ROW_PX : ROW_PX),
  );

  constructor() {
    super();
    new Watch(this, () => [this.app.cameras, this.app.seen, this.app.me]);
  }

  override connectedCallback(): void {
    super.connectedCallback();
    this.timer = setInterval(() => this.requestUpdate(), REFRESH_MS);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    clearInterval(this.timer);
  }

  private readonly close = () => this.app.show({ dialog: null });

  private show(camera: string): void {
    this.app.place(camera);
    this.close();
  }

  private showRecording(camera: string, event: Event): void {
    this.show(camera);
    this.app.show({ timeline: true });
    this.app.goTo(camera, (event as CustomEvent<number>).detail);
  }

  private toggle(status: ShownStatus): void {
    const next = new Set(this.statuses);
    if (!next.delete(status)) next.add(status);
    this.statuses = next;
    this.rows.toTop();
  }

  private fold(name: string): void {
    const next = new Set(this.folded);
    if (!next.delete(name)) next.add(name);
    this.folded = next;
  }

  private filters(rows: readonly HealthRow[]): TemplateResult {
    const counts = statusCounts(rows);
    return html`<div class="filters" role="group" aria-label=${t("health.filter")}>
      ${BY_SEVERITY.filter((status) => counts.has(status) || this.statuses.has(status)).map(
        (status) => html`<button aria-pressed=${this.statuses.has(status)} data-status=${status}
          @click=${() => this.toggle(status)}>
          ${statusMark(status)}${t(`status.${status}`)} <b>${counts.get(status) ?? 0}</b>
        </button>`,
      )}
    </div>`;
  }

  private group({ name, rows, worst, faulty }: HealthGroup): TemplateResult {
    const open = !this.folded.has(name);
    const words = t("health.group", { faulty, count: rows.length });
    return html`<button class="fold" aria-expanded=${open} @click=${() => this.fold(name)}>
      ${icon(open ? "fold" : "unfold")}${statusMark(worst)}
      <span class="name">${name || t(`health.without.${this.by === "recorder" ? "recorder" : "tag"}`)}</span>
      <span class=${faulty > 0 ? "warn" : "dim"}>${words}</span>
    </button>`;
  }

  private camera({ camera, status, sinceMs, pictureMs }: HealthRow): TemplateResult {
    const now = siteNow();
    const well = status === "online" || status === "disabled";
    const since = sinceMs === null ? "" : sinceTime(sinceMs, now, language.value);
    const where = [camera.site, ...camera.tags, ...camera.recorders].join(" · ");
    return html`
      ${
        well
          ? html`<span class="still"></span>`
          : html`<pantau-last-picture class="still" .app=${this.app} .camera=${camera.id} .name=${camera.name} .atMs=${pictureMs}
              @chosen=${(event: Event) => this.showRecording(camera.id, event)}></pantau-last-picture>`
      }
      <span class="who"><span class="name" title=${camera.id}>${camera.name}</span>
        <span class="dim" title=${where}>${where}</span></span>
      <span class="what" data-status=${status}>
        <span class="status">${statusMark(status)}${t(`status.${status}`)}</span>
        <span class="why">${reasonText(camera, status)}</span>
      </span>
      <span class="long">
        ${sinceMs === null ? nothing : html`<b>${lasting(now - sinceMs, language.value)}</b><span class="dim">${t("tile.since", { since })}</span>`}
      </span>
      <span class="last dim">${well || pictureMs === null ? nothing : t("health.picture", { time: sinceTime(pictureMs, now, language.value) })}</span>
      <span class="tools">
        <button class="plain" aria-label=${t("health.show.of", { name: camera.name })} @click=${() => this.show(camera.id)}>${t("health.show")}</button>
        ${
          this.app.may("admin")
            ? html`<button class="icon-only" title=${t("list.edit", { name: camera.name })} aria-label=${t("list.edit", { name: camera.name })}
                @click=${() => this.app.show({ dialog: { kind: "camera", camera } })}>${icon("edit")}</button>`
            : nothing
        }
      </span>`;
  }

  private line(line: HealthLine, index: number, count: number): TemplateResult {
    const id = line.kind === "camera" ? line.row.camera.id : "";
    return html`<li class=${line.kind} data-camera=${id} aria-setsize=${count} aria-posinset=${index + 1}>
      ${line.kind === "camera" ? this.camera(line.row) : this.group(line.group)}
    </li>`;
  }

  private board(shown: readonly HealthRow[]): TemplateResult {
    const lines = healthLines(shown, this.by, this.folded);
    const { rows, above, below } = this.rows.of(lines);
    if (lines.length === 0) {
      const text = this.text.trim() ? t("list.nothing", { query: this.text }) : t("list.nothing.filter");
      return html`<p role="status">${text}</p>`;
    }
    return html`<ul class="board scroll" tabindex="-1" aria-label=${t("health.title")} @scroll=${this.rows.onScroll}>
      ${above}${repeat(
        rows,
        ({ item }) => (item.kind === "camera" ? `${item.group}/${item.row.camera.id}` : `group ${item.group.name}`),
        ({ item, index }) => this.line(item, index, lines.length),
      )}${below}
    </ul>`;
  }

  private filling(shown: readonly HealthRow[]): TemplateResult | typeof nothing {
    const ids = shown.filter(({ camera }) => camera.enabled).map(({ camera }) => camera.id);
    const narrowed = this.text.trim() !== "" || this.statuses.size > 0;
    if (!narrowed || ids.length === 0 || ids.length > MOST_TILES) return nothing;
    return html`<button class="plain" @click=${() => {
      this.app.wall.update((wall) => showCameras(wall, ids));
      this.close();
    }}>${t("list.fill", { count: ids.length })}</button>`;
  }

  override render(): TemplateResult {
    const { cameras, seen } = this.app;
    const all = [...(cameras.value?.values() ?? [])];
    const found = healthRows(
      search(all, this.text, (camera) => stateWords(camera, seen.value)),
      seen.value,
    );
    const shown = this.statuses.size === 0 ? found : found.filter(({ status }) => this.statuses.has(status));
    return html`<pantau-modal .heading=${t("health.title")} .actions=${false} @close=${this.close}>
      <div class="bar">
        <input type="search" autocomplete="off" spellcheck="false" placeholder=${t("health.search")} aria-label=${t("health.search")}
          .value=${this.text} @input=${(event: InputEvent) => {
            this.text = (event.target as HTMLInputElement).value;
            this.rows.toTop();
          }} />
        <label>${t("health.by")}<select @change=${() => {
          this.by = GROUPINGS[this.grouping.selectedIndex] ?? "none";
          this.rows.toTop();
        }}>${GROUPINGS.map((by) => html`<option ?selected=${this.by === by}>${t(`health.by.${by}`)}</option>`)}</select></label>
        ${this.filling(shown)}
      </div>
      ${this.filters(found)} ${this.board(shown)}
    </pantau-modal>`;
  }
}

declare global {
  interface HTMLElementTagNameMap {
    "pantau-health-dialog": HealthDialog;
  }
}
