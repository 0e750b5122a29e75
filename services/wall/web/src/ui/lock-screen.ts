/** The page while it is locked: nothing of the wall, and the password of the person who is signed in. */

import { css, html, LitElement, nothing, type TemplateResult } from "lit";
import { customElement, property, query, state } from "lit/decorators.js";
import { ApiError } from "../api/client.js";
import type { App } from "../app/app.js";
import { problemText } from "../app/problem.js";
import { t } from "../i18n/index.js";
import { icon } from "./icons.js";
import { form, shared } from "./styles.js";
import { Watch } from "./watch.js";

@customElement("pantau-lock-screen")
export class LockScreen extends LitElement {
  static override styles = [
    shared,
    form,
    css`
      dialog {
        display: grid;
        place-content: center;
        width: var(--view-width);
        max-width: none;
        height: var(--view-height);
        max-height: none;
        margin: 0;
        padding: 0;
        border: 0;
        background: var(--ground);
        color: var(--text);
      }
      .box {
        display: grid;
        gap: 14px;
        width: min(360px, 0.9 * var(--view-width));
      }
      h2 {
        display: flex;
        align-items: center;
        gap: 10px;
        margin: 0;
        font-size: 20px;
        font-weight: 600;
      }
      button,
      a {
        min-height: 44px;
      }
      a {
        display: grid;
        place-items: center;
        border-radius: 6px;
        background: var(--accent-deep);
        color: var(--text);
        text-decoration: none;
      }
    `,
  ];

  @property({ attribute: false }) app!: App;
  @state() private problem = "";
  @state() private busy = false;
  @query("dialog") private dialog!: HTMLDialogElement;
  @query("input[name=password]") private password!: HTMLInputElement | null;
  @query("input[name=code]") private code!: HTMLInputElement | null;

  constructor() {
    super();
    new Watch(this, () => [this.app.me, this.app.signInLost]);
  }

  protected override firstUpdated(): void {
    this.dialog.showModal();
    this.password?.focus();
  }

  /** A second Escape closes a dialog although its `cancel` was prevented (HTML, 6.12, close watchers). */
  private onKey(event: KeyboardEvent): void {
    event.stopPropagation();
    if (event.key === "Escape") event.preventDefault();
  }

  private async unlock(event: Event): Promise<void> {
    event.preventDefault();
    const name = this.app.me.value?.name;
    const { password } = this;
    if (name === undefined || password === null || this.busy) return;
    this.busy = true;
    try {
      const code = this.code?.value.trim() ?? "";
      await this.app.api.signIn({ name, password: password.value, ...(code !== "" && { code }) });
      // A page that knew only its former sign-in would take its next lock for another person's, and open.
      await this.app.refreshMe();
      this.app.idle.unlock();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      const second = this.app.me.value?.totp === true;
      this.problem = error.status === 401 ? t(second ? "lock.wrong.code" : "lock.wrong") : problemText(error);
      password.select();
    } finally {
      this.busy = false;
    }
  }

  /**
   * Who was signed in by the identity provider has no password here: another sign-in there unlocks all pages of the
   * browser. Where something is being written it is another page that goes there.
   */
  private byProvider(): TemplateResult {
    const target = this.app.view.value.dialog === null ? "_self" : "_blank";
    return html`<a href="/oidc/sign-in?again=true" target=${target}>${t("lock.provider")}</a>`;
  }

  private byPassword(): TemplateResult {
    const name = this.app.me.value?.name ?? "";
    return html`<form class="fields" @submit=${(event: Event) => this.unlock(event)}>
      <label>
        ${t("lock.password", { name })}
        <input type="password" name="password" autocomplete="current-password" required />
      </label>
      ${
        this.app.me.value?.totp
          ? html`<label>
              ${t("lock.code")}
              <input name="code" inputmode="numeric" autocomplete="one-time-code" required />
            </label>`
          : nothing
      }
      ${this.problem ? html`<span class="error" role="alert">${this.problem}</span>` : nothing}
      <button class="primary" ?disabled=${this.busy || name === ""}>${t("lock.unlock")}</button>
    </form>`;
  }

  override render(): TemplateResult {
    const title = t(this.app.signInLost.value ? "lock.ended" : "lock.title");
    return html`<dialog aria-label=${title} @cancel=${(event: Event) => event.preventDefault()}
      @close=${() => this.dialog.showModal()} @keydown=${(event: KeyboardEvent) => this.onKey(event)}>
      <div class="box">
        <h2>${icon("lock")}${title}</h2>
        ${this.app.signInLost.value ? html`<span class="hint">${t("lock.ended.hint")}</span>` : nothing}
        ${this.app.me.value?.by_provider ? this.byProvider() : this.byPassword()}
        <form method="post" action="/sign-out">
          <button class="plain">${t("lock.other")}</button>
        </form>
      </div>
    </dialog>`;
  }
}

declare global {
  interface HTMLElementTagNameMap {
    "pantau-lock-screen": LockScreen;
  }
}
