/** A contact sheet of one camera: keyframes of a range; a click on one goes to its moment. */

import { css, html, LitElement, nothing, type TemplateResult } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { ApiError } from "../api/client.js";
import type { App } from "../app/app.js";
import { problemText } from "../app/problem.js";
import { language, t } from "../i18n/index.js";
import { validRange } from "../model/footage.js";
import { dateTime } from "../model/format.js";
import { momentText, parseMoment } from "../model/moment.js";
import { pointIn } from "../model/scale.js";
import { around, LAYOUTS, localRfc3339, momentOf } from "../model/sheet.js";
import { siteNow } from "../model/site-clock.js";
import type { Span } from "../model/timeline.js";
import { tileAt, wallCameras } from "../model/wall.js";
import { momentInput } from "./moment-input.js";
import { form, shared } from "./styles.js";
import { Watch } from "./watch.js";
import "./modal.js";

/** Waits while a time is typed: its digits pass through other times. */
const READ_DELAY_MS = 400;

type Shown =
  | { kind: "making" }
  | { kind: "sheet"; url: string; span: Span }
  | { kind: "problem"; text: string; nearestMs: number | null };

@customElement("pantau-sheet-dialog")
export class SheetDialog extends LitElement {
  static override styles = [
    shared,
    form,
    css`
      pantau-modal {
        --modal-width: 1400px;
      }
      .choices {
        display: grid;
        grid-template-columns: 2fr 1.2fr 1.2fr 0.8fr;
        gap: 12px;
        margin-bottom: 12px;
      }
      img {
        display: block;
        max-width: 100%;
        margin: 0 auto;
        cursor: pointer;
      }
      .state {
        padding: 48px 0;
        text-align: center;
        color: var(--text-soft);
      }
      a {
        color: var(--text);
      }
    `,
  ];

  @property({ attribute: false }) app!: App;
  @state() private camera: string | null = null;
  @state() private from = "";
  @state() private to = "";
  @state() private layout = 1;
  @state() private shown: Shown = { kind: "making" };
  private timer: ReturnType<typeof setTimeout> | undefined;
  private asked = 0;

  constructor() {
    super();
    new Watch(this, () => [this.app.cameras]);
  }

  override connectedCallback(): void {
    super.connectedCallback();
    const { playback, wall, cameras } = this.app;
    const onWall = tileAt(wall.value, wall.value.selected).camera ?? wallCameras(wall.value)[0];
    this.camera = onWall ?? cameras.value?.keys().next().value ?? null;
    const timeline = playback.timelines.value.get(this.camera ?? "");
    this.choose(playback.range.value ?? around(playback.nowMs(), siteNow(), timeline));
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    clearTimeout(this.timer);
    this.asked += 1;
    this.forget();
  }

  private forget(): void {
    if (this.shown.kind === "sheet") URL.revokeObjectURL(this.shown.url);
  }

  private show(shown: Shown): void {
    this.forget();
    this.shown = shown;
  }

  private readSoon(): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.read(), READ_DELAY_MS);
  }

  private async read(): Promise<void> {
    const asked = ++this.asked;
    const { camera } = this;
    const toMs = parseMoment(this.to);
    const span = validRange(parseMoment(this.from), toMs === null ? null : Math.min(toMs, siteNow()));
    const layout = LAYOUTS[this.layout];
    if (camera === null || !layout) return;
    if (!span) {
      this.show({ kind: "problem", text: t("export.bad-range"), nearestMs: null });
      return;
    }
    this.show({ kind: "making" });
    try {
      const [from, to] = [localRfc3339(span.fromMs), localRfc3339(span.toMs)];
      const sheet = await this.app.api.contactSheet(camera, from, to, layout.columns, layout.rows);
      if (asked === this.asked) this.show({ kind: "sheet", url: URL.createObjectURL(sheet), span });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (asked !== this.asked) return;
      const missing = error.code === "no-footage";
      const text = missing ? t("sheet.no-footage") : t("dialog.failed", { detail: problemText(error) });
      this.show({ kind: "problem", text, nearestMs: error.nearestMs });
    }
  }

  private readonly close = () => this.app.show({ dialog: null });

  private go(event: MouseEvent, span: Span): void {
    const image = event.currentTarget as HTMLImageElement;
    const layout = LAYOUTS[this.layout];
    const size = { widthPx: image.naturalWidth, heightPx: image.naturalHeight };
    const { x, y } = pointIn(event, image);
    const at = layout ? momentOf(layout, span, size, x / image.clientWidth, y / image.clientHeight) : null;
    if (at === null) return;
    this.close();
    this.app.goTo(this.camera, at);
  }

  private toNearest(atMs: number): void {
    this.choose(around(atMs, siteNow(), undefined));
  }

  private choose({ fromMs, toMs }: Span): void {
    this.from = momentText(fromMs);
    this.to = momentText(toMs);
    void this.read();
  }

  private moment(name: "from" | "to"): TemplateResult {
    return momentInput(name, this[name], (value) => {
      this[name] = value;
      this.readSoon();
    });
  }

  private choices(): TemplateResult {
    const cameras = [...(this.app.cameras.value?.values() ?? [])];
    return html`<div class="choices">
      <label>
        ${t("sheet.camera")}
        <select name="camera" @change=${(event: Event) => {
          this.camera = (event.target as HTMLSelectElement).value;
          void this.read();
        }}>
          ${cameras.map(({ id, name }) => html`<option value=${id} ?selected=${id === this.camera}>${name}</option>`)}
        </select>
      </label>
      ${this.moment("from")} ${this.moment("to")}
      <label>
        ${t("sheet.pictures")}
        <select name="pictures" @change=${(event: Event) => {
          this.layout = (event.target as HTMLSelectElement).selectedIndex;
          void this.read();
        }}>
          ${LAYOUTS.map(
            ({ columns, rows }, index) => html`<option ?selected=${index === this.layout}>${columns * rows}</option>`,
          )}
        </select>
      </label>
    </div>`;
  }

  private result(): TemplateResult {
    const { shown } = this;
    if (this.camera === null) return html`<p class="state">${t("sheet.no-camera")}</p>`;
    if (shown.kind === "making") return html`<p class="state" role="status">${t("sheet.making")}</p>`;
    if (shown.kind === "problem") {
      const { nearestMs } = shown;
      return html`<div class="state">
        <p role="alert">${shown.text}</p>
        ${
          nearestMs === null
            ? nothing
            : html`<button class="plain" @click=${() => this.toNearest(nearestMs)}>
                ${t("sheet.nearest", { time: dateTime(nearestMs, language.value) })}
              </button>`
        }
      </div>`;
    }
    const { columns, rows } = LAYOUTS[this.layout] ?? { columns: 0, rows: 0 };
    const [from, to] = [shown.span.fromMs, shown.span.toMs].map((ms) => dateTime(ms, language.value));
    const alt = t("sheet.alt", { count: columns * rows, from: from ?? "", to: to ?? "" });
    return html`<img src=${shown.url} alt=${alt} @click=${(event: MouseEvent) => this.go(event, shown.span)} />
      <p class="hint">${t("sheet.hint")}</p>`;
  }

  override render(): TemplateResult {
    const { shown } = this;
    return html`<pantau-modal .heading=${t("sheet.title")} @close=${this.close}>
      ${this.choices()} ${this.result()}
      ${
        shown.kind === "sheet"
          ? html`<a slot="actions" href=${shown.url} download=${`${this.camera}_${this.from.replaceAll(/[^0-9]+/g, "-")}.jpg`}>
              <button class="plain" tabindex="-1">${t("sheet.save")}</button>
            </a>`
          : nothing
      }
      <button slot="actions" class="plain" @click=${this.close}>${t("dialog.close")}</button>
    </pantau-modal>`;
  }
}

declare global {
  interface HTMLElementTagNameMap {
    "pantau-sheet-dialog": SheetDialog;
  }
}
