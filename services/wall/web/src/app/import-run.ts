/** An import as a job of the server: started, followed until it is over, and its rows read. */

import { type Api, ApiError } from "../api/client.js";
import type { ImportJob, ImportReport, ImportRow } from "../api/generated.js";
import { Observable } from "../model/observable.js";

const POLL_MS = 700;

/** Refused rows are read to the last one; of the others the first page is enough to look at. */
const READ_TO_THE_END = "refused";

type ImportApi = Pick<Api, "startImport" | "importJob" | "importRows" | "endImport">;

export class ImportRun {
  /** How far the job is; null while none runs. */
  readonly job = new Observable<ImportJob | null>(null);

  constructor(
    private readonly api: ImportApi,
    private readonly pause: (ms: number) => Promise<void> = (ms) => new Promise((done) => setTimeout(done, ms)),
  ) {}

  /** What became of the rows; null where the import was called off. Raises `ApiError` where it cannot be made. */
  async run(csv: Blob, dryRun: boolean): Promise<ImportReport | null> {
    try {
      let job = await this.api.startImport(csv, dryRun);
      this.job.set(job);
      while (job.status === "waiting" || job.status === "running") {
        await this.pause(POLL_MS);
        job = await this.look(job);
        this.job.set(job);
      }
      if (job.status === "cancelled") return null;
      if (job.status === "failed") throw new ApiError(0, "import-failed", job.detail);
      return await this.report(job);
    } finally {
      this.job.set(null);
    }
  }

  /** Calls the import off; rows that were taken stay. */
  async callOff(): Promise<void> {
    const { value } = this.job;
    if (value) await this.api.endImport(value.id);
  }

  /** The job goes on while the server does not answer, or answers late: it is asked again. */
  private async look(job: ImportJob): Promise<ImportJob> {
    try {
      return await this.api.importJob(job.id);
    } catch (error) {
      if (error instanceof ApiError && (error.unanswered || error.status === 503)) return job;
      throw error;
    }
  }

  private async report(job: ImportJob): Promise<ImportReport> {
    const { added, updated, unchanged, refused, notes, ignored, dry_run } = job;
    const rows: ImportRow[] = [];
    for (const result of ["refused", "added", "updated"] as const) {
      if (job[result] === 0) continue;
      let cursor: number | null = null;
      do {
        const page: { rows: ImportRow[]; next: number | null } = await this.api.importRows(job.id, result, cursor);
        rows.push(...page.rows);
        cursor = page.next;
      } while (cursor !== null && result === READ_TO_THE_END);
    }
    return { added, updated, unchanged, refused, notes, ignored, dry_run, rows };
  }
}
