/** A component's questions to the server: whether one goes on, and why the last one failed. */

import { html, nothing, type ReactiveControllerHost, type TemplateResult } from "lit";
import { ApiError } from "../api/client.js";
import { problemText } from "../app/problem.js";
import { t } from "../i18n/index.js";

export class Asking {
  busy = false;
  private problem = "";

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

  tell(problem: string): void {
    this.problem = problem;
    this.host.requestUpdate();
  }

  line(): TemplateResult | typeof nothing {
    return this.problem ? html`<p class="error" role="alert">${this.problem}</p>` : nothing;
  }
}
