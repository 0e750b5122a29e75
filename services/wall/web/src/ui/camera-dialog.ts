/** Adding, changing and removing a camera. */

import { css, html, LitElement, nothing, type TemplateResult } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { ApiError } from "../api/client.js";
import type { CameraView, ProbedStreamView, ProbeView } from "../api/generated.js";
import type { App } from "../app/app.js";
import { problemText } from "../app/problem.js";
import { language, type MessageKey, t } from "../i18n/index.js";
import {
  type CameraFields,
  changesOf,
  type FieldErrors,
  fieldsOf,
  idFrom,
  inputOf,
  labelOf,
  probeOf,
  validate,
} from "../model/camera-form.js";
import { localeOf } from "../model/format.js";
import { probedLine, probeHint } from "../model/probe.js";
import { reasonKey } from "../model/tile-status.js";
import { icon } from "./icons.js";
import type { MasksChange } from "./mask-editor.js";
import { form, shared } from "./styles.js";
import { Watch } from "./watch.js";
import "./mask-editor.js";
import "./modal.js";

type TextField = { [K in keyof CameraFields]: CameraFields[K] extends string ? K : never }[keyof CameraFields];
type CheckField = { [K in keyof CameraFields]: CameraFields[K] extends boolean ? K : never }[keyof CameraFields];

@customElement("pantau-camera-dialog")
export class CameraDialog extends LitElement {
  static override styles = [
    shared,
    form,
    css`
      .probe {
        display: grid;
        gap: 8px;
        padding: 10px 12px;
        border: 1px solid var(--line);
        border-radius: 8px;
        background: var(--raised);
      }
      .found {
        display: grid;
        grid-template-columns: 208px minmax(0, 1fr);
        gap: 12px;
        align-items: start;
      }
      .found img {
        width: 100%;
        border-radius: 5px;
      }
      .found p {
        margin: 0 0 4px;
      }
      .good,
      .bad {
        display: flex;
        align-items: center;
        gap: 7px;
      }
      .good {
        color: var(--good);
      }
      .bad {
        color: var(--fault);
      }
      .probe .plain {
        justify-self: start;
      }
      summary {
        cursor: pointer;
      }
      code {
        overflow-wrap: anywhere;
        font-size: 13px;
      }
      @media (max-width: 760px) {
        .found {
          grid-template-columns: minmax(0, 1fr);
        }
      }
    `,
  ];

  @property({ attribute: false }) app!: App;
  @property({ attribute: false }) camera: CameraView | null = null;
  @state() private fields: CameraFields = fieldsOf(null, "");
  @state() private errors: FieldErrors = {};
  @state() private failure = "";
  @state() private removing = false;
  @state() private busy = false;
  @state() private probing = false;
  @state() private probed: ProbeView | null = null;
  private idTyped = false;
  /** What was probed, or could not be: changed fields are probed anew. */
  private probedKey = "";

  constructor() {
    super();
    new Watch(this, () => []);
  }

  override connectedCallback(): void {
    super.connectedCallback();
    this.fields = fieldsOf(this.camera, this.app.me.value?.site ?? "");
  }

  private set<K extends keyof CameraFields>(name: K, value: CameraFields[K]): void {
    this.fields = { ...this.fields, [name]: value };
    if (name === "id") this.idTyped = true;
    if (name === "name" && this.camera === null && !this.idTyped) {
      this.fields = { ...this.fields, id: idFrom(this.fields.name) };
    }
    if (Object.keys(this.errors).length > 0) this.errors = validate(this.fields);
  }

  private readonly close = () => this.app.show({ dialog: null });

  private async submit(): Promise<void> {
    this.errors = validate(this.fields);
    if (Object.keys(this.errors).length > 0) return;
    if (this.camera === null && !(await this.looksWell())) return;
    const { fields, camera } = this;
    const { api } = this.app;
    await this.attempt(() =>
      camera ? api.updateCamera(camera.id, changesOf(fields, camera)) : api.addCamera(inputOf(fields, null)),
    );
  }

  private get probeKey(): string {
    const { mainUrl, subUrl, transport, username, password } = this.fields;
    return JSON.stringify([mainUrl.trim(), subUrl.trim(), transport, username, password]);
  }

  /** A new camera is saved as soon as it shows a picture; one that shows none only where that is wanted all the same. */
  private async looksWell(): Promise<boolean> {
    if (this.probedKey === this.probeKey) return true;
    await this.probe();
    return this.probed?.main.reason === "none" && this.probedKey === this.probeKey;
  }

  private async probe(): Promise<void> {
    this.errors = validate(this.fields);
    if (this.errors.mainUrl || this.errors.subUrl || this.probing) return;
    let asked = this.probeKey;
    this.probing = true;
    this.probed = null;
    this.failure = "";
    try {
      const probed = await this.app.api.probe(probeOf(this.fields, this.camera));
      this.probed = probed;
      const changed = this.probeKey !== asked;
      if (probed.sub?.reason === "none" && !this.fields.subUrl.trim() && !changed) {
        this.set("subUrl", probed.sub.url);
        asked = this.probeKey;
      }
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.failure = problemText(error);
    } finally {
      this.probing = false;
      this.probedKey = asked;
    }
  }

  private stream(stream: ProbedStreamView, name: MessageKey): TemplateResult {
    if (stream.reason === "none") {
      return html`<p class="good">${icon("check")}${t(name)}: ${probedLine(stream, localeOf(language.value))}</p>`;
    }
    const reason = reasonKey(stream.reason);
    const hint = probeHint(stream.reason);
    return html`<p class="bad">${icon("warning")}${t(name)}: ${reason ? t(reason) : stream.reason}</p>
      ${hint ? html`<p>${t(hint)}</p>` : nothing}
      ${stream.detail ? html`<p class="hint" lang="en">${stream.detail}</p>` : nothing}`;
  }

  private probePanel(): TemplateResult {
    const { probed } = this;
    return html`<section class="probe" aria-label=${t("probe.title")}>
      <button type="button" class="plain" ?disabled=${this.probing} @click=${() => this.probe()}>
        ${icon("still")}${t("probe.look")}
      </button>
      <div role="status">
        ${this.probing ? t("probe.looking") : nothing}
        ${
          probed
            ? html`<div class="found">
              ${probed.main.still ? html`<img src="data:image/jpeg;base64,${probed.main.still}" alt=${t("probe.still")} />` : nothing}
              <div>
                ${this.stream(probed.main, "probe.main")}
                ${probed.sub ? this.stream(probed.sub, "probe.sub") : nothing}
                ${probed.sub === null && probed.main.reason === "none" ? html`<p class="hint">${t("probe.no-sub")}</p>` : nothing}
                ${probed.sub?.reason === "none" ? html`<code>${probed.sub.url}</code>` : nothing}
              </div>
            </div>`
            : nothing
        }
      </div>
    </section>`;
  }

  /** Of what is in the catalogue a still from there; of what is not yet, the picture that was probed. */
  private get still(): string {
    if (this.camera) return this.app.api.snapshotUrl(this.camera.id, undefined, 640);
    return this.probed?.main.still ? `data:image/jpeg;base64,${this.probed.main.still}` : "";
  }

  private masks(): TemplateResult {
    const { privacyMasks, unmaskedRoles } = this.fields;
    return html`<details ?open=${(this.camera?.privacy_masks.length ?? 0) > 0}>
      <summary>${t("masks.title")} (${privacyMasks.length})</summary>
      <pantau-mask-editor .still=${this.still} .masks=${privacyMasks} .roles=${unmaskedRoles}
        @masks=${(event: CustomEvent<MasksChange>) => {
          const { masks, roles } = event.detail;
          this.fields = { ...this.fields, privacyMasks: masks, unmaskedRoles: roles };
        }}></pantau-mask-editor>
    </details>`;
  }

  /** What saving would do now. */
  private get saveText(): string {
    const failed = this.probed === null ? this.failure !== "" : this.probed.main.reason !== "none";
    const anyway = this.camera === null && failed && this.probedKey === this.probeKey;
    return t(anyway ? "probe.save-anyway" : "dialog.save");
  }

  private async attempt(action: () => Promise<unknown>): Promise<void> {
    this.busy = true;
    this.failure = "";
    try {
      await action();
      this.app.refreshCameras();
      this.close();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      const labels = Object.keys(error.fields).map((field) => t(labelOf(field)));
      this.failure = [problemText(error), ...new Set(labels)].join(" · ");
    } finally {
      this.busy = false;
    }
  }

  private text(
    name: TextField,
    label: MessageKey,
    hint?: MessageKey,
    options: { type?: string; locked?: boolean } = {},
  ) {
    const error = this.errors[name];
    return html`<label>
      ${t(label)}
      <input name=${name} type=${options.type ?? "text"} .value=${this.fields[name]} ?disabled=${options.locked ?? false}
        autocomplete=${options.type === "password" ? "new-password" : "off"} spellcheck="false"
        aria-invalid=${error ? "true" : "false"} aria-describedby="${name}-hint"
        @input=${(event: InputEvent) => this.set(name, (event.target as HTMLInputElement).value as CameraFields[TextField])} />
      <span id="${name}-hint" class=${error ? "error" : "hint"}>${error ? t(error) : hint ? t(hint) : nothing}</span>
    </label>`;
  }

  private check(name: CheckField, label: MessageKey): TemplateResult {
    return html`<label class="check">
      <input type="checkbox" name=${name} .checked=${this.fields[name]}
        @change=${(event: Event) => this.set(name, (event.target as HTMLInputElement).checked)} />
      ${t(label)}
    </label>`;
  }

  private removal(camera: CameraView): TemplateResult {
    return html`<pantau-modal .heading=${t("form.remove")} @close=${this.close}>
      <p>${t("form.remove.sure", { name: camera.name })}</p>
      ${this.failure ? html`<p class="error" role="alert">${t("dialog.failed", { detail: this.failure })}</p>` : nothing}
      <div slot="actions">
        <button class="plain" @click=${() => {
          this.removing = false;
        }}>${t("dialog.cancel")}</button>
        <button class="danger" ?disabled=${this.busy}
          @click=${() => this.attempt(() => this.app.api.removeCamera(camera.id))}>${t("form.remove.yes")}</button>
      </div>
    </pantau-modal>`;
  }

  override render(): TemplateResult {
    const { camera } = this;
    if (this.removing && camera) return this.removal(camera);
    return html`<pantau-modal .heading=${t(camera ? "form.edit" : "form.add")} @close=${this.close}>
      <form id="camera" class="fields" novalidate
        @submit=${(event: Event) => {
          event.preventDefault();
          void this.submit();
        }}>
        <div class="row">
          ${this.text("name", "form.name")}
          ${this.text("id", "form.id", camera ? undefined : "form.id.hint", { locked: camera !== null })}
        </div>
        ${this.text("mainUrl", "form.main", "form.main.hint")} ${this.text("subUrl", "form.sub", "form.sub.hint")}
        <div class="row">
          ${this.text("username", "form.user")}
          ${this.text("password", "form.password", camera?.has_credentials ? "form.password.kept" : undefined, { type: "password" })}
        </div>
        ${camera?.has_credentials ? this.check("forget", "form.forget") : nothing}
        ${this.probePanel()}
        ${this.text("address", "form.address")}
        <div class="row">${this.text("latitude", "form.latitude")} ${this.text("longitude", "form.longitude")}</div>
        ${this.text("bearing", "form.bearing", "form.bearing.hint")}
        <div class="row">
          ${this.text("tags", "form.tags")} ${this.text("site", "form.site", undefined, { locked: camera !== null })}
        </div>
        <div class="row">
          <label>
            ${t("form.transport")}
            <select name="transport" .value=${this.fields.transport}
              @change=${(event: Event) => this.set("transport", (event.target as HTMLSelectElement).value as CameraFields["transport"])}>
              <option value="auto" ?selected=${this.fields.transport === "auto"}>${t("form.transport.auto")}</option>
              <option value="tcp" ?selected=${this.fields.transport === "tcp"}>TCP</option>
              <option value="udp" ?selected=${this.fields.transport === "udp"}>UDP</option>
            </select>
          </label>
          <div>${this.check("enabled", "form.enabled")} ${this.check("record", "form.record")} ${this.check("audio", "form.audio")}</div>
        </div>
        ${this.masks()}
        ${this.failure ? html`<p class="error" role="alert">${t("dialog.failed", { detail: this.failure })}</p>` : nothing}
      </form>
      ${
        camera
          ? html`<button slot="actions" class="danger" @click=${() => {
              this.removing = true;
            }}>${t("form.remove")}</button>`
          : nothing
      }
      <button slot="actions" class="plain" @click=${this.close}>${t("dialog.cancel")}</button>
      <button slot="actions" class="primary" ?disabled=${this.busy || this.probing} @click=${() => this.submit()}>${this.saveText}</button>
    </pantau-modal>`;
  }
}

declare global {
  interface HTMLElementTagNameMap {
    "pantau-camera-dialog": CameraDialog;
  }
}
