/** What the page says of a camera's state, as words that can be searched for. */

import type { CameraView } from "../api/generated.js";
import { t } from "../i18n/index.js";
import { type SeenCameras, type ShownStatus, statusOf } from "../model/cameras.js";
import { reasonKey } from "../model/tile-status.js";

export function stateWords(camera: CameraView, seen: SeenCameras): string {
  const status = statusOf(camera, seen.get(camera.id));
  return [t(`status.${status}`), reasonText(camera, status)].join(" ");
}

/** Why a camera is not simply online; empty where it is, or nobody knows. */
export function reasonText({ state }: CameraView, status: ShownStatus): string {
  if (!state || status === "online" || status === "unknown" || status === "disabled") return "";
  const key = reasonKey(state.reason);
  return key ? t(key) : "";
}
