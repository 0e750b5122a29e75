/** The exports: how far each is, cancelled or downloaded again from here. */

import { css, html, LitElement, nothing, type TemplateResult } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { ApiError } from "../api/client.js";
import type { ExportView } from "../api/generated.js";
import type { App } from "../app/app.js";
import { isOver } from "../app/exports.js";
import { problemText } from "../app/problem.js";
import { language, t } from "../i18n/index.js";
import { bytesText } from "../model/coverage.js";
import { localeOf, rangeTime, sinceTime } from "../model/format.js";
import { siteNow } from "../model/site-clock.js";
import { icon } from "./icons.js";
import { shared } from "./styles.js";
import { Watch } from "./watch.js";

@customElement("pantau-exports-tray")
export class ExportsTray extends LitElement {
  static override styles = [
    shared,
    css`
      :host {
        display: block;
        min-width: 0;
        container-type: inline-size;
      }
      ul {
        display: grid;
        grid-template-columns: minmax(0, 1fr);
        gap: 2px;
        max-height: var(--exports-height, 132px);
        margin: 0;
        padding: 4px 10px;
        list-style: none;
        border-top: 1px solid var(--line);
      }
      li {
        display: flex;
        flex-wrap: wrap;
        align-items: center;
        gap: 10px;
        min-height: 34px;
        font-size: 13.5px;
        font-variant-numeric: tabular-nums;
      }
      .what {
        flex: 1 1 180px;
        min-width: 0;
        overflow: hidden;
        text-overflow: ellipsis;
        white-space: nowrap;
      }
      .state {
        color: var(--text-soft);
        white-space: nowrap;
      }
      @container (max-width: 560px) {
        .what {
          flex-basis: 100%;
        }
        .state {
          flex: 1;
          white-space: normal;
        }
        li {
          padding: 6px 0;
        }
      }
      .failed {
        color: var(--fault);
      }
      progress {
        width: 140px;
        accent-color: var(--accent-deep);
      }
      a {
        color: var(--text);
      }
    `,
  ];

  @property({ attribute: false }) app!: App;
  /** Only the exports about this incident; null: all. */
  @property({ attribute: false }) incident: string | null = null;
  @state() private problem = "";
  private unfollow: (() => void) | undefined;

  constructor() {
    super();
    new Watch(this, () => [this.app.exports.jobs]);
  }

  override connectedCallback(): void {
    super.connectedCallback();
    if (this.app.may("operator")) this.unfollow = this.app.exports.follow();
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.unfollow?.();
    this.unfollow = undefined;
  }

  private async end(job: ExportView): Promise<void> {
    try {
      await this.app.exports.end(job);
      this.problem = "";
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.problem = problemText(error);
    }
  }

  private state(job: ExportView): TemplateResult {
    const why = job.code ? problemText({ code: job.code, status: 0 }) : "";
    if (!isOver(job)) {
      return html`<progress max="1" .value=${job.progress} aria-label=${t("exports.making")}></progress>
        <span class="state" title=${why}>${t(job.status === "running" ? "exports.making" : "exports.waiting")}</span>`;
    }
    if (!job.file) {
      const text = t(job.status === "cancelled" ? "exports.cancelled" : "exports.failed");
      return html`<span class="state failed" title=${why}>${why ? `${text}: ${why}` : text}</span>`;
    }
    const size = bytesText(job.file.size_bytes, localeOf(language.value));
    const until = sinceTime(Date.parse(job.expires), siteNow(), language.value);
    return html`<span class="state">
        ${size}${job.conversion ? html`, <span title=${job.conversion}>${t("exports.converted")}</span>` : nothing}${
          job.made_up ? html`, <strong title=${t("exports.made-up.title")}>${t("exports.made-up")}</strong>` : nothing
        }${this.absent(job)},
        ${t("exports.until", { time: until })}
      </span>
      <a href=${job.file.url} download title=${t("exports.download")}>${t("exports.download")}</a>`;
  }

  /** Which cameras are not in a file that has others; the title says why. */
  private absent(job: ExportView): TemplateResult | typeof nothing {
    if (job.left_out.length === 0) return nothing;
    const names = new Map(job.cameras.map(({ camera, name }) => [camera, name]));
    const named = job.left_out.map(({ camera, code }) => ({ name: names.get(camera) ?? camera, code }));
    const why = named.map(({ name, code }) => `${name}: ${problemText({ code, status: 0 })}`).join("; ");
    const cameras = named.map(({ name }) => name).join(", ");
    return html`, <strong title=${why}>${t("exports.left-out", { cameras })}</strong>`;
  }

  private row(job: ExportView): TemplateResult {
    const cameras = job.cameras.map(({ name }) => name).join(", ");
    const [from, to] = [Date.parse(job.from), Date.parse(job.to)];
    const range = rangeTime(from, to, language.value);
    const kind = t(job.kind === "clip" ? "exports.clip" : "exports.bundle");
    const label = t(isOver(job) ? "exports.remove" : "exports.cancel");
    return html`<li>
      <span class="what" title="${cameras}, ${range}">${kind}: ${cameras}, ${range}</span>
      ${this.state(job)}
      <button class="icon-only" title=${label} aria-label="${label}: ${cameras}" @click=${() => this.end(job)}>
        ${icon("close")}
      </button>
    </li>`;
  }

  override render(): TemplateResult | typeof nothing {
    const all = this.app.exports.jobs.value;
    const jobs = this.incident === null ? all : all.filter(({ incident }) => incident === this.incident);
    if (jobs.length === 0) return nothing;
    return html`${this.problem ? html`<span role="alert" class="failed">${this.problem}</span>` : nothing}
      <ul class="scroll" aria-label=${t("exports.title")}>
        ${jobs.map((job) => this.row(job))}
      </ul>`;
  }
}

declare global {
  interface HTMLElementTagNameMap {
    "pantau-exports-tray": ExportsTray;
  }
}
