/** An input for one end of a range of time, to the second, in the site's zone. */

import { html, type TemplateResult } from "lit";
import { t } from "../i18n/index.js";
import { parseMoment } from "../model/moment.js";

export function momentInput(
  name: "from" | "to",
  value: string,
  change: (value: string) => void,
  disabled = false,
): TemplateResult {
  return html`<label>
    ${t(`export.${name}`)}
    <input name=${name} inputmode="numeric" autocomplete="off" spellcheck="false" placeholder=${t("form.moment")}
      .value=${value} ?disabled=${disabled} aria-invalid=${parseMoment(value) === null ? "true" : "false"}
      @change=${(event: Event) => change((event.target as HTMLInputElement).value)} />
  </label>`;
}
