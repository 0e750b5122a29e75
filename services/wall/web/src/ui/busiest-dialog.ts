/** The busiest minutes of a stretch of time, in front of the cameras that are looked at; a click goes there. */

import { css, html, LitElement, type TemplateResult } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { ApiError } from "../api/client.js";
import type { BusyView } from "../api/generated.js";
import type { App } from "../app/app.js";
import { problemText } from "../app/problem.js";
import { language, t } from "../i18n/index.js";
import { dateTime, dayDate, minuteTime } from "../model/format.js";
import type { Span } from "../model/timeline.js";
import { shared } from "./styles.js";
import { Watch } from "./watch.js";
import "./modal.js";

@customElement("pantau-busiest-dialog")
export class BusiestDialog extends LitElement {
  static override styles = [
    shared,
    css`
      ol {
        display: grid;
        gap: 2px;
        margin: 12px 0 0;
        padding: 0;
        list-style: none;
      }
      li button {
        display: grid;
        grid-template-columns: 150px 1fr 90px;
        gap: 14px;
        align-items: center;
        width: 100%;
        height: auto;
        padding: 8px 10px;
        text-align: left;
        font-variant-numeric: tabular-nums;
      }
      .name {
        overflow: hidden;
        text-overflow: ellipsis;
        white-space: nowrap;
      }
      .bar {
        height: 8px;
        border-radius: 4px;
        background: var(--ground);
      }
      .bar i {
        display: block;
        height: 100%;
        border-radius: 4px;
        background: #a9d2f0;
      }
      p {
        margin: 0;
        color: var(--text-soft);
      }
      p.state {
        margin-top: 12px;
      }
    `,
  ];

  @property({ attribute: false }) app!: App;
  @property({ attribute: false }) span!: Span;
  /** null: not read yet. */
  @state() private minutes: readonly BusyView[] | null = null;
  @state() private problem = "";

  constructor() {
    super();
    new Watch(this, () => []);
  }

  override connectedCallback(): void {
    super.connectedCallback();
    void this.read();
  }

  private async read(): Promise<void> {
    try {
      this.minutes = await this.app.activity.busiest(this.span);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.problem = t("dialog.failed", { detail: problemText(error) });
    }
  }

  private readonly close = () => this.app.show({ dialog: null });

  private go(minute: BusyView): void {
    this.close();
    this.app.goTo(minute.camera, Date.parse(minute.from));
  }

  private item(minute: BusyView): TemplateResult {
    const fromMs = Date.parse(minute.from);
    return html`<li>
      <button class="plain" @click=${() => this.go(minute)}>
        <span>${dayDate(fromMs, language.value)} ${minuteTime(fromMs, language.value)}</span>
        <span class="name">${this.app.camera(minute.camera)?.name ?? minute.camera}</span>
        <span class="bar" role="img" aria-label=${t("busiest.level", { percent: String(Math.round(minute.level * 100)) })}>
          <i .style=${`width: ${minute.level * 100}%`}></i>
        </span>
      </button>
    </li>`;
  }

  private list(): TemplateResult {
    if (this.problem) return html`<p class="state error" role="alert">${this.problem}</p>`;
    if (this.minutes === null) return html`<p class="state" role="status">${t("busiest.reading")}</p>`;
    if (this.minutes.length === 0) return html`<p class="state" role="status">${t("busiest.none")}</p>`;
    return html`<ol>${this.minutes.map((minute) => this.item(minute))}</ol>`;
  }

  override render(): TemplateResult {
    const [from, to] = [this.span.fromMs, this.span.toMs].map((ms) => dateTime(ms, language.value));
    return html`<pantau-modal .heading=${t("busiest.title")} .actions=${false} @close=${this.close}>
      <p>${t("busiest.range", { from: from ?? "", to: to ?? "" })}</p>
      ${this.list()}
    </pantau-modal>`;
  }
}

declare global {
  interface HTMLElementTagNameMap {
    "pantau-busiest-dialog": BusiestDialog;
  }
}
