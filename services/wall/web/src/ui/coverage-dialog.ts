/** The coverage statement: how much is recorded, what is missing why, and how long the disks last. */

import { css, html, LitElement, nothing, type TemplateResult } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { ApiError } from "../api/client.js";
import type { CameraCoverageView, CoverageView, GapView } from "../api/generated.js";
import type { App } from "../app/app.js";
import { problemText } from "../app/problem.js";
import { causeText, language, t } from "../i18n/index.js";
import { bytesText, daysText, PERIODS, type Period, percentText, worstFirst } from "../model/coverage.js";
import { dateTime, duration, localeOf } from "../model/format.js";
import { siteNow } from "../model/site-clock.js";
import { form, shared, table } from "./styles.js";
import { Watch } from "./watch.js";
import "./modal.js";

const DAY_MS = 86_400_000;

@customElement("pantau-coverage-dialog")
export class CoverageDialog extends LitElement {
  static override styles = [
    shared,
    form,
    table,
    css`
      pantau-modal {
        --modal-width: 1100px;
      }
      .period {
        width: 220px;
      }
      dl {
        display: grid;
        grid-template-columns: 190px 1fr;
        gap: 6px 14px;
        margin: 16px 0;
      }
      dt {
        color: var(--text-soft);
      }
      dd {
        grid-column: 2;
        margin: 0;
      }
      .warn {
        color: var(--warn);
      }
      td.number {
        white-space: nowrap;
      }
      ul {
        margin: 6px 0 0;
        padding: 0;
        list-style: none;
        color: var(--text-soft);
        font-size: 13.5px;
      }
      summary {
        cursor: pointer;
      }
      p {
        color: var(--text-soft);
      }
    `,
  ];

  @property({ attribute: false }) app!: App;
  @state() private period: Period = "day";
  /** null: not read yet. */
  @state() private body: CoverageView | null = null;
  @state() private problem = "";
  private asked = 0;

  constructor() {
    super();
    new Watch(this, () => []);
  }

  override connectedCallback(): void {
    super.connectedCallback();
    void this.read();
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.asked += 1;
  }

  private get locale(): string {
    return localeOf(language.value);
  }

  private async read(): Promise<void> {
    const asked = ++this.asked;
    this.body = null;
    this.problem = "";
    const now = siteNow();
    try {
      const body = await this.app.api.coverage(now - PERIODS[this.period], now);
      if (asked === this.asked) this.body = body;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (asked === this.asked) this.problem = t("dialog.failed", { detail: problemText(error) });
    }
  }

  private days(days: number): string {
    return t("coverage.days", { days: daysText(days, this.locale) });
  }

  private lasts(of: CoverageView["total"] | CameraCoverageView): string {
    const { forecast_full_days: full, forecast_keyframe_days: thinned, forecast_archive_days: archive } = of;
    if (full === null) return t("coverage.forecast.none");
    const parts = [t("coverage.forecast.full", { days: this.days(full) })];
    if (thinned !== null && thinned > full) parts.push(t("coverage.forecast.thinned", { days: this.days(thinned) }));
    if (archive !== null) parts.push(t("coverage.forecast.archive", { days: this.days(archive) }));
    return parts.join(", ");
  }

  private total({ total, recorders, complete }: CoverageView): TemplateResult {
    const { locale } = this;
    const percent = percentText(total.percent, locale);
    const missing = total.missing.map(({ cause, seconds }) => `${causeText(cause)} ${duration(seconds * 1000)}`);
    return html`${complete ? nothing : html`<p class="warn" role="alert">${t("coverage.incomplete")}</p>`}
      <dl>
        <dt>${t("coverage.recorded")}</dt>
        <dd>${t("coverage.of", { percent, count: total.cameras })}</dd>
        ${
          total.damaged_seconds > 0
            ? html`<dt>${t("coverage.damaged.all")}</dt>
                <dd>${duration(total.damaged_seconds * 1000)}</dd>`
            : nothing
        }
        <dt>${t("coverage.missing")}</dt>
        <dd>${missing.length === 0 ? t("coverage.missing.none") : missing.join("; ")}</dd>
        <dt>${t("coverage.forecast")}</dt>
        <dd>${this.lasts(total)}</dd>
        <dt>${t("coverage.disks")}</dt>
        ${recorders.map(
          ({ recorder, used_bytes, capacity_bytes }) => html`<dd>
            ${t("coverage.disk", {
              recorder,
              used: bytesText(used_bytes, locale),
              capacity: bytesText(capacity_bytes, locale),
            })}
          </dd>`,
        )}
        <dd>${t("coverage.rate", { rate: bytesText(total.bytes_per_day, locale) })}</dd>
      </dl>`;
  }

  private gap(gap: GapView): TemplateResult {
    const [from, to] = [Date.parse(gap.from), Date.parse(gap.to)];
    const until = gap.open ? t("coverage.open") : duration(to - from);
    return html`<li>${dateTime(from, language.value)} · ${until} · ${causeText(gap.cause)}</li>`;
  }

  private gaps({ gaps }: CameraCoverageView): TemplateResult {
    if (gaps.length === 0) return html`${t("coverage.no-gaps")}`;
    return html`<details>
      <summary>${gaps.length}</summary>
      <ul>
        ${gaps.map((gap) => this.gap(gap))}
      </ul>
    </details>`;
  }

  /** Who lost what is missing. */
  private lost(camera: CameraCoverageView): TemplateResult | typeof nothing {
    if (!camera.recording || camera.missing_seconds === 0) return nothing;
    const mesh = duration(camera.lost_by_mesh_seconds * 1000);
    const byCamera = duration(camera.lost_by_camera_seconds * 1000);
    return html`<div>${t("coverage.lost", { mesh, camera: byCamera })}</div>`;
  }

  private oldest(camera: CameraCoverageView): string {
    const disks = this.oldestOf(camera.oldest_full, camera.oldest_thinned);
    const archive = this.oldestOf(camera.oldest_archived_full, camera.oldest_archived_thinned);
    const parts = [disks ?? t("coverage.oldest.none")];
    if (archive !== null) parts.push(t("coverage.oldest.archive", { when: archive }));
    return parts.join("; ");
  }

  private oldestOf(...times: (string | null)[]): string | null {
    const known = times.flatMap((time) => (time === null ? [] : [Date.parse(time)]));
    if (known.length === 0) return null;
    const atMs = Math.min(...known);
    const days = Math.floor((siteNow() - atMs) / DAY_MS);
    const when = dateTime(atMs, language.value);
    return days < 1 ? when : `${when} (${t("coverage.ago", { days })})`;
  }

  private row(camera: CameraCoverageView): TemplateResult {
    return html`<tr>
      <td>${camera.name}</td>
      <td class="number">
        ${camera.recording ? percentText(camera.percent, this.locale) : t(camera.removed ? "coverage.removed" : "coverage.not-recorded")}
        ${
          camera.damaged_seconds > 0
            ? html`<div class="warn">${t("coverage.damaged", { duration: duration(camera.damaged_seconds * 1000) })}</div>`
            : nothing
        }
      </td>
      <td>${this.lost(camera)}${this.gaps(camera)}</td>
      <td>${this.oldest(camera)}</td>
      <td>${this.lasts(camera)}</td>
    </tr>`;
  }

  private statement(): TemplateResult {
    if (this.problem) return html`<p class="error" role="alert">${this.problem}</p>`;
    if (this.body === null) return html`<p role="status">${t("coverage.reading")}</p>`;
    if (this.body.cameras.length === 0) return html`<p>${t("coverage.none")}</p>`;
    const headings = ["camera", "recorded", "gaps", "oldest", "forecast"] as const;
    return html`${this.total(this.body)}
      <table>
        <thead>
          <tr>
            ${headings.map((name) => html`<th scope="col">${t(`coverage.${name}`)}</th>`)}
          </tr>
        </thead>
        <tbody>
          ${worstFirst(this.body.cameras).map((camera) => this.row(camera))}
        </tbody>
      </table>`;
  }

  override render(): TemplateResult {
    return html`<pantau-modal .heading=${t("coverage.title")} .actions=${false}
      @close=${() => this.app.show({ dialog: null })}>
      <label class="period">
        ${t("coverage.period")}
        <select name="period" @change=${(event: Event) => {
          this.period = (event.target as HTMLSelectElement).value as Period;
          void this.read();
        }}>
          ${(Object.keys(PERIODS) as Period[]).map(
            (period) =>
              html`<option value=${period} ?selected=${period === this.period}>${t(`coverage.${period}`)}</option>`,
          )}
        </select>
      </label>
      ${this.statement()}
    </pantau-modal>`;
  }
}

declare global {
  interface HTMLElementTagNameMap {
    "pantau-coverage-dialog": CoverageDialog;
  }
}
