/** A component's questions to the server: whether one goes on, and why the last one failed. */

import { html, nothing, type ReactiveControllerHost, type TemplateResult } from "lit";
import { ApiError } from "../api/client.js";
import { problemText } from "../app/problem.js";
import { t } from "../i18n/index.js";

export class Asking {
  busy = false;
  private problem = "";
  private done = "";

  constructor(private readonly host: ReactiveControllerHost) {}

  /** Whether it was answered well; else the problem is told. */
  async ask(question: () => Promise<unknown>): Promise<boolean> {
    this.tell("");
    this.busy = true;
    try {
      await question();
      return true;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.tell(t("dialog.failed", { detail: problemText(error) }));
      return false;
    } finally {
      this.busy = false;
      this.host.requestUpdate();
    }
  }

  /** A change, and the reading of what there is then. Where both went well `done` is told. */
  async change(what: () => Promise<unknown>, read: () => Promise<unknown>, done = ""): Promise<boolean> {
    this.done = "";
    const well = await this.ask(async () => {
      await what();
      await read();
    });
    if (well) this.done = done;
    this.host.requestUpdate();
    return well;
  }

  tell(problem: string): void {
    this.problem = problem;
    this.host.requestUpdate();
  }

  line(): TemplateResult {
    return html`${this.problem ? html`<p class="error" role="alert">${this.problem}</p>` : nothing}
      ${this.done ? html`<p class="done" role="status">${this.done}</p>` : nothing}`;
  }
}
