/** Export jobs: started here, followed while one is under way, downloaded when they are done. */

import type { Api } from "../api/client.js";
import type { ExportRequest, ExportView } from "../api/generated.js";
import { Observable } from "../model/observable.js";
import { Refresher } from "./refresher.js";

/** Others' exports, and those of other pages, are looked at so often. */
const PERIOD_MS = 30_000;
/** Browsers drop downloads that begin in the same moment. */
const DOWNLOAD_SPACING_MS = 400;

export function isOver({ status }: Pick<ExportView, "status">): boolean {
  return status === "done" || status === "failed" || status === "cancelled";
}

export class Exports {
  /** What the signed-in person may see, newest first. */
  readonly jobs = new Observable<readonly ExportView[]>([]);
  /** Jobs of this page: their files are downloaded as soon as they are there. */
  private readonly awaited = new Set<string>();
  private readonly reader = new Refresher(() => this.read(), PERIOD_MS);
  private followers = 0;

  constructor(
    private readonly api: Pick<Api, "exports" | "addExport" | "endExport">,
    private readonly download: (url: string) => void = downloadUrl,
  ) {}

  /** Reads the list until the answer is called, and while a job of this page is under way. */
  follow(): () => void {
    this.followers += 1;
    this.reader.trigger();
    return () => {
      this.followers -= 1;
      this.stopUnlessNeeded();
    };
  }

  /** Rejects with the first `ApiError`; the jobs before it go on. */
  async start(wanted: readonly ExportRequest[]): Promise<void> {
    for (const request of wanted) {
      const job = await this.api.addExport(request);
      this.awaited.add(job.id);
      this.jobs.update((jobs) => [job, ...jobs]);
    }
    this.reader.trigger();
  }

  /** Cancels a job that is under way; forgets one that is over, with its file. */
  async end(job: ExportView): Promise<void> {
    this.awaited.delete(job.id);
    await this.api.endExport(job.id);
    if (isOver(job)) this.jobs.update((jobs) => jobs.filter(({ id }) => id !== job.id));
    this.reader.trigger();
  }

  private async read(): Promise<void> {
    const jobs = await this.api.exports();
    this.jobs.set(jobs);
    const ready = jobs.filter((job) => this.awaited.has(job.id) && isOver(job));
    ready.forEach(({ id, file }, index) => {
      this.awaited.delete(id);
      if (file) setTimeout(() => this.download(file.url), index * DOWNLOAD_SPACING_MS);
    });
    if (jobs.some((job) => !isOver(job))) this.reader.trigger();
    // After this read the reader would wait for the next one.
    else setTimeout(() => this.stopUnlessNeeded());
  }

  private stopUnlessNeeded(): void {
    if (this.followers === 0 && this.awaited.size === 0) this.reader.stop();
  }
}

function downloadUrl(url: string): void {
  const link = document.createElement("a");
  link.href = url;
  link.download = "";
  link.click();
}
