/** One's own API tokens: for programs, each with its rights and its end, and taken back at once. */

import { css, html, LitElement, nothing, type TemplateResult } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { type NewTokenView, RIGHT_VALUES, type Right, type TokenView } from "../api/generated.js";
import type { App } from "../app/app.js";
import { language, t } from "../i18n/index.js";
import { dateTime } from "../model/format.js";
import { siteNow } from "../model/site-clock.js";
import { Asking } from "./asking.js";
import { icon } from "./icons.js";
import { people } from "./people-tabs.js";
import { form, shared } from "./styles.js";
import { Watch } from "./watch.js";

const DAY_MS = 86_400_000;
const LASTS_DAYS = [7, 30, 90, 365] as const;

@customElement("pantau-own-tokens")
export class OwnTokens extends LitElement {
  static override styles = [
    shared,
    form,
    people,
    css`
      section {
        margin: 0 0 20px;
      }
      form {
        margin: 0;
      }
    `,
  ];

  @property({ attribute: false }) app!: App;
  @state() private tokens: readonly TokenView[] = [];
  @state() private made: NewTokenView | null = null;
  private readonly asking = new Asking(this);

  constructor() {
    super();
    new Watch(this, () => [this.app.me]);
  }

  override connectedCallback(): void {
    super.connectedCallback();
    void this.asking.ask(() => this.read());
  }

  private async read(): Promise<void> {
    this.tokens = await this.app.api.tokens();
  }

  private async add(event: Event): Promise<void> {
    event.preventDefault();
    const element = event.target as HTMLFormElement;
    const given = new FormData(element);
    const name = String(given.get("token")).trim();
    if (name === "") {
      this.asking.tell(t("tokens.nameless"));
      return;
    }
    const rights = given.getAll("right") as Right[];
    const expires = new Date(siteNow() + Number(given.get("days")) * DAY_MS).toISOString();
    const done = await this.asking.ask(async () => {
      this.made = await this.app.api.addToken({ name, expires, rights: rights.length > 0 ? rights : null });
      await this.read();
    });
    if (done) element.reset();
  }

  private async takeBack(id: string): Promise<void> {
    await this.asking.ask(async () => {
      await this.app.api.endSignIn(id);
      if (this.made?.id === id) this.made = null;
      await this.read();
    });
  }

  private row({ id, name, rights, expires }: TokenView): TemplateResult {
    const what = rights === null ? t("tokens.all") : rights.map((right) => t(`right.${right}`)).join(", ");
    return html`<tr>
      <th scope="row">${name}</th>
      <td>${what}</td>
      <td>${t("tokens.until", { time: dateTime(Date.parse(expires), language.value) })}</td>
      <td>
        <button class="plain" ?disabled=${this.asking.busy} aria-label=${`${t("tokens.remove")}: ${name}`}
          @click=${() => this.takeBack(id)}>${t("tokens.remove")}</button>
      </td>
    </tr>`;
  }

  override render(): TemplateResult {
    const may = new Set(this.app.me.value?.rights ?? []);
    return html`<section>
      <h3>${t("tokens.title")}</h3>
      ${this.asking.line()}
      ${
        this.tokens.length > 0
          ? html`<div class="table"><table><tbody>${this.tokens.map((token) => this.row(token))}</tbody></table></div>`
          : nothing
      }
      ${this.made ? html`<p role="status">${t("tokens.made")}<br /><code>${this.made.token}</code></p>` : nothing}
      <form novalidate @submit=${(event: Event) => this.add(event)}>
        <div class="row">
          <label>${t("tokens.name")}<input name="token" maxlength="80" autocomplete="off" /></label>
          <label>
            ${t("tokens.lasts")}
            <select name="days">
              ${LASTS_DAYS.map((days) => html`<option value=${days} ?selected=${days === 90}>${t("tokens.days", { days })}</option>`)}
            </select>
          </label>
        </div>
        <fieldset>
          <legend>${t("tokens.rights")}</legend>
          ${RIGHT_VALUES.filter((right) => may.has(right)).map(
            (right) =>
              html`<label class="check"><input type="checkbox" name="right" value=${right} />${t(`right.${right}`)}</label>`,
          )}
        </fieldset>
        <div><button class="plain" ?disabled=${this.asking.busy}>${icon("plus")}${t("tokens.add")}</button></div>
      </form>
    </section>`;
  }
}

declare global {
  interface HTMLElementTagNameMap {
    "pantau-own-tokens": OwnTokens;
  }
}
