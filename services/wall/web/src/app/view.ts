/** Which panels and which dialog are open. */

import type { CameraView, Incident } from "../api/generated.js";
import type { PlaceFields } from "../model/place-time.js";
import type { Span } from "../model/timeline.js";

export type Dialog =
  | { kind: "help" }
  /** `missing`: the link's wall is gone, or is not for this person. */
  | { kind: "walls"; missing?: boolean }
  | { kind: "place"; fields?: PlaceFields }
  | { kind: "camera"; camera: CameraView | null }
  | { kind: "import" }
  | { kind: "export"; incident: Incident | null }
  | { kind: "incident"; incident: Incident | null }
  | { kind: "incident-page"; id: string }
  | { kind: "busiest"; span: Span }
  | { kind: "sheet" }
  | { kind: "coverage" }
  | { kind: "health" }
  | { kind: "account" }
  | { kind: "accounts"; account: string | null }
  | { kind: "grants"; account: string | null }
  | { kind: "audit"; camera: string | null; person: string | null };

export interface ViewState {
  panel: boolean;
  timeline: boolean;
  incidents: boolean;
  screens: boolean;
  events: boolean;
  downloads: boolean;
  map: boolean;
  dialog: Dialog | null;
}

export type Panel = keyof Omit<ViewState, "dialog">;
