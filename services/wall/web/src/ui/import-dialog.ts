/** Importing cameras from a CSV file, with what became of each line. */

import { css, html, LitElement, nothing, type TemplateResult } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { ApiError } from "../api/client.js";
import type { ImportReport, ImportRow } from "../api/generated.js";
import type { App } from "../app/app.js";
import { ImportRun } from "../app/import-run.js";
import { problemText } from "../app/problem.js";
import { t } from "../i18n/index.js";
import { type CsvTable, decodeCsv, readCsv, writeCsv } from "../model/csv.js";
import { afterMending, refusedCsv, rowColumns, rowWords } from "../model/import-rows.js";
import { icon } from "./icons.js";
import { form, shared } from "./styles.js";
import { Watch } from "./watch.js";
import "./modal.js";

const NEEDED = "name, main_url";
const OPTIONAL =
  "id, sub_url, username, password, address, latitude, longitude, tags, site, transport, audio, record, enabled, retention";

@customElement("pantau-import-dialog")
export class ImportDialog extends LitElement {
  static override styles = [
    shared,
    form,
    css`
      pantau-modal {
        --modal-width: 760px;
      }
      .drop {
        display: flex;
        align-items: center;
        justify-content: center;
        gap: 10px;
        min-height: 76px;
        margin: 12px 0;
        border: 1px dashed var(--line);
        border-radius: 8px;
        color: var(--text-soft);
        font-size: 15px;
        cursor: pointer;
      }
      .drop.over,
      .drop:focus-within {
        border-color: var(--focus);
      }
      table {
        width: 100%;
        border-collapse: collapse;
        font-size: 14px;
      }
      th {
        color: var(--text-dim);
        font-weight: 500;
        text-align: left;
      }
      th,
      td {
        padding: 4px 10px 4px 0;
        border-bottom: 1px solid var(--line);
        vertical-align: top;
      }
      td:first-child {
        font-variant-numeric: tabular-nums;
      }
      .refused td:nth-child(3) {
        color: var(--fault);
      }
      .added td:nth-child(3) {
        color: var(--good);
      }
      .sum {
        font-weight: 600;
      }
      progress {
        width: 100%;
        accent-color: var(--accent);
      }
      .mend {
        display: grid;
        grid-template-columns: repeat(auto-fill, minmax(180px, 1fr));
        gap: 6px;
        margin: 4px 0 8px;
      }
    `,
  ];

  @property({ attribute: false }) app!: App;
  @state() private file: File | null = null;
  @state() private report: ImportReport | null = null;
  /** Corrected cells, by line and column. */
  @state() private mended: ReadonlyMap<number, Readonly<Record<string, string>>> = new Map();
  private text = "";
  /** Read once: a file may have thousands of rows, and each that is refused is shown. */
  private read: CsvTable = { header: [], headerLine: 1, rows: [] };
  private cells: ReadonlyMap<number, readonly string[]> = new Map();
  /** The chosen file as it is was imported; corrected rows alone leave the others to be imported. */
  @state() private imported = false;
  private importing!: ImportRun;
  @state() private failure = "";
  @state() private busy = false;
  @state() private over = false;

  constructor() {
    super();
    new Watch(this, () => {
      this.importing = new ImportRun(this.app.api);
      return [this.importing.job];
    });
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    // A check is of no use to anybody any more; an import goes on.
    if (this.importing.job.value?.dry_run) void this.importing.callOff().catch(() => undefined);
  }

  private take(file: File | null | undefined): void {
    if (!file) return;
    this.file = file;
    this.report = null;
    this.imported = false;
    this.mended = new Map();
    void this.run(file, true);
  }

  private async run(file: File, dryRun: boolean): Promise<void> {
    await this.attempt(async () => {
      this.text = decodeCsv(await file.arrayBuffer());
      this.read = readCsv(this.text);
      this.cells = new Map(this.read.rows.map(({ line, cells }) => [line, cells]));
      this.report = await this.importing.run(file, dryRun);
      this.imported = !dryRun && this.report !== null;
      this.mended = new Map();
      if (!dryRun) this.app.refreshCameras();
    });
  }

  private async attempt(what: () => Promise<void>): Promise<void> {
    this.busy = true;
    this.failure = "";
    try {
      await what();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.failure = problemText(error);
    } finally {
      this.busy = false;
    }
  }

  private table(report: ImportReport): TemplateResult {
    const { added, updated, unchanged, refused } = report;
    const sum = t(report.dry_run ? "import.sum.check" : "import.sum", { added, updated, unchanged, refused });
    // Refused rows come first: they need attention.
    const rows = [...report.rows].sort((a, b) => Number(b.result === "refused") - Number(a.result === "refused"));
    return html`<p class="sum" role="status">${sum}</p>
      ${report.ignored.length > 0 ? html`<p class="hint">${t("import.ignored", { columns: report.ignored.join(", ") })}</p>` : nothing}
      ${
        refused > 0
          ? html`<button class="plain" @click=${() => this.downloadRefused(report)}>${t("import.download", { count: refused })}</button>`
          : nothing
      }
      <table>
        <thead>
          <tr><th>${t("import.row")}</th><th>${t("form.id")}</th><th>${t("import.result")}</th><th>${t("import.detail")}</th></tr>
        </thead>
        <tbody>
          ${rows.map(
            (row) => html`<tr class=${row.result}>
              <td>${row.row}</td><td>${row.id}</td><td>${t(`import.${row.result}`)}</td><td title=${row.detail}>${rowText(row)}${row.result === "refused" ? this.mending(row) : nothing}</td>
            </tr>`,
          )}
        </tbody>
      </table>`;
  }

  /** The cells of a refused row that are to be corrected. */
  private mending({ row, column }: ImportRow): TemplateResult {
    const { header } = this.read;
    const cells = this.cells.get(row) ?? [];
    return html`<div class="mend">
      ${rowColumns(header, column).map((index) => {
        const name = header[index] ?? "";
        const value = this.mended.get(row)?.[name] ?? cells[index] ?? "";
        return html`<label>${name}<input .value=${value} aria-label=${t("import.mend", { column: name, row })}
          type=${/pass|pwd|sandi/i.test(name) ? "password" : "text"} autocomplete="off" spellcheck="false"
          @input=${(event: InputEvent) => {
            const typed = (event.target as HTMLInputElement).value;
            this.mended = new Map(this.mended).set(row, { ...this.mended.get(row), [name]: typed });
          }} /></label>`;
      })}
    </div>`;
  }

  /** Imports the corrected rows alone, as a file; the others stay in the report. */
  private async runMended(): Promise<void> {
    const { report } = this;
    const { header, rows } = this.read;
    const corrected = rows.flatMap(({ line, cells }) => {
      const changes = this.mended.get(line);
      return changes ? [{ line, cells: header.map((name, i) => changes[name] ?? cells[i] ?? "") }] : [];
    });
    const csv = writeCsv({ header, rows: corrected });
    const lineOf = new Map(readCsv(csv).rows.map(({ line }, i) => [line, corrected[i]?.line ?? line]));
    await this.attempt(async () => {
      const now = await this.importing.run(new Blob([csv], { type: "text/csv" }), false);
      this.app.refreshCameras();
      if (!now || !report) return;
      this.cells = new Map([...this.cells, ...corrected.map(({ line, cells }) => [line, cells] as const)]);
      this.report = afterMending(report, now, lineOf);
      this.mended = new Map();
    });
  }

  private progress(): TemplateResult | typeof nothing {
    const job = this.importing.job.value;
    if (!job) return this.busy ? html`<p role="status">${t("import.sending")}</p>` : nothing;
    const { done, rows } = job;
    return html`<p role="status">${t("import.progress", { done, rows })}</p>
      <progress max=${Math.max(rows, 1)} value=${done} aria-label=${t("import.title")}></progress>
      <button class="plain" @click=${() => this.callOff()}>${t("import.call-off")}</button>`;
  }

  private async callOff(): Promise<void> {
    try {
      await this.importing.callOff();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.failure = problemText(error);
    }
  }

  private async downloadRefused(report: ImportReport): Promise<void> {
    if (!this.file) return;
    const text = refusedCsv(this.text, report.rows);
    const url = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
    const link = document.createElement("a");
    link.href = url;
    link.download = `${this.file.name.replace(/\.csv$/i, "")}-${t("import.refused.file")}.csv`;
    link.click();
    URL.revokeObjectURL(url);
  }

  private onDrop(event: DragEvent): void {
    event.preventDefault();
    this.over = false;
    this.take(event.dataTransfer?.files[0]);
  }

  override render(): TemplateResult {
    const done = this.imported;
    return html`<pantau-modal .heading=${t("import.title")} @close=${() => this.app.show({ dialog: null })}>
      <span>${t("import.body", { needed: NEEDED, optional: OPTIONAL })}</span>
      <label class="drop ${this.over ? "over" : ""}"
        @dragover=${(event: DragEvent) => {
          event.preventDefault();
          this.over = true;
        }}
        @dragleave=${() => {
          this.over = false;
        }}
        @drop=${(event: DragEvent) => this.onDrop(event)}>
        ${icon("upload")} ${this.file ? this.file.name : t("import.choose")}
        <input class="visually-hidden" type="file" accept=".csv,text/csv"
          @change=${(event: Event) => this.take((event.target as HTMLInputElement).files?.[0])} />
      </label>
      ${this.failure ? html`<p class="error" role="alert">${t("dialog.failed", { detail: this.failure })}</p>` : nothing}
      ${this.progress()} ${this.report && !this.busy ? this.table(this.report) : nothing}
      <button slot="actions" class="plain" @click=${() => this.app.show({ dialog: null })}>
        ${t(done ? "dialog.close" : "dialog.cancel")}
      </button>
      ${
        this.mended.size > 0
          ? html`<button slot="actions" class="plain" ?disabled=${this.busy} @click=${() => this.runMended()}>
              ${t("import.mended", { count: this.mended.size })}</button>`
          : nothing
      }
      <button slot="actions" class="plain" ?disabled=${!this.file || this.busy || done} @click=${() => this.file && this.run(this.file, true)}>
        ${t("import.check")}
      </button>
      <button slot="actions" class="primary" ?disabled=${!this.file || this.busy || done} @click=${() => this.file && this.run(this.file, false)}>
        ${t("import.run")}
      </button>
    </pantau-modal>`;
  }
}

function rowText(row: ImportRow): string {
  const words = rowWords(row);
  if (!words) return "";
  return t(words.key, { columns: words.labels.map((label) => t(label)).join(", ") });
}

declare global {
  interface HTMLElementTagNameMap {
    "pantau-import-dialog": ImportDialog;
  }
}
