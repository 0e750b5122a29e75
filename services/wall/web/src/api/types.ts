/** The page's names for parts of the generated types. */

import type { Aim, CameraView, ClockControl, RangeView, Size, SlotNotice } from "./generated.js";

export type ProfileName = keyof CameraView["profiles"];
export type Source = SlotNotice["source"];
export type SlotState = SlotNotice["state"];
export type Step = NonNullable<ClockControl["step"]>;
export type Tier = RangeView["tier"];

/** What a session's slots show from its beginning, and how large. */
export interface Opening {
  slots: Aim[];
  sizes: Size[];
}
