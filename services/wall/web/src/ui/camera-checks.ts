/** Check boxes for cameras: those on the wall and those already chosen. */

import { css, html, type TemplateResult } from "lit";
import type { App } from "../app/app.js";
import { t } from "../i18n/index.js";
import { wallCameras } from "../model/wall.js";

export const cameraChecksStyles = css`
  fieldset {
    display: grid;
    grid-template-columns: minmax(0, 1fr) minmax(0, 1fr);
    gap: 6px 14px;
    max-height: 200px;
    min-width: 0;
    margin: 0;
    padding: 10px 12px;
    overflow: auto;
    border: 1px solid var(--line);
    border-radius: 6px;
  }
  legend {
    padding: 0 4px;
    color: var(--text-soft);
    font-size: 13px;
  }
`;

export function cameraChecks(
  app: App,
  chosen: ReadonlySet<string>,
  change: (chosen: ReadonlySet<string>) => void,
): TemplateResult {
  const ids = [...new Set([...chosen, ...wallCameras(app.wall.value)])];
  const toggle = (id: string, on: boolean) => {
    const next = new Set(chosen);
    if (on) next.add(id);
    else next.delete(id);
    change(next);
  };
  return html`<fieldset>
    <legend>${t("export.cameras")}</legend>
    ${ids.map(
      (id) => html`<label class="check">
        <input type="checkbox" value=${id} .checked=${chosen.has(id)}
          @change=${(event: Event) => toggle(id, (event.target as HTMLInputElement).checked)} />
        ${app.camera(id)?.name ?? id}
      </label>`,
    )}
  </fieldset>`;
}
