/** Icons, drawn on a 24 × 24 grid with a 1.75 px line; they take the text's colour. */

import { html, type SVGTemplateResult, svg, type TemplateResult } from "lit";

const PATHS = {
  plus: svg`<path d="M12 5v14M5 12h14"/>`,
  unknown: svg`<circle cx="12" cy="12" r="8.5"/><path d="M9.6 9.6a2.5 2.5 0 1 1 3.4 2.4c-.7.3-1 .8-1 1.6M12 16.6v.1"/>`,
  "link-lost": svg`<path d="M4 8.5a13 13 0 0 1 4.2-2.6M20 8.5a13 13 0 0 0-7.5-3.4M7 12.5a8.5 8.5 0 0 1 3-1.9M12 19v.1M9.8 15.8a4 4 0 0 1 4.4 0M4 4l16 16"/>`,
  disabled: svg`<circle cx="12" cy="12" r="8.5"/><path d="M6 6l12 12"/>`,
  wait: svg`<circle cx="12" cy="12" r="8.5"/><path d="M12 7.5V12l3 2"/>`,
  gap: svg`<path d="M4 6v12M20 6v12M8 12h1M11.5 12h1M15 12h1"/>`,
  frozen: svg`<rect x="7" y="6" width="3.5" height="12" rx="1"/><rect x="13.5" y="6" width="3.5" height="12" rx="1"/>`,
  offline: svg`<path d="M3 7.5h9.5a2 2 0 0 1 2 2v5M14.5 12l6-3.5v8M5 16.5h7M4 4l16 16"/>`,
  camera: svg`<rect x="3" y="7" width="11.5" height="10" rx="2"/><path d="M14.5 11l6-3.5v9l-6-3.5"/>`,
  search: svg`<circle cx="11" cy="11" r="6.5"/><path d="M16 16l4.5 4.5"/>`,
  edit: svg`<path d="M5 19l1-4L16.5 4.5l3 3L9 18z"/>`,
  close: svg`<path d="M6 6l12 12M18 6L6 18"/>`,
  help: svg`<circle cx="12" cy="12" r="8.5"/><path d="M9.6 9.6a2.5 2.5 0 1 1 3.4 2.4c-.7.3-1 .8-1 1.6M12 16.6v.1"/>`,
  enlarge: svg`<path d="M14 4h6v6M10 20H4v-6M20 4l-7 7M4 20l7-7"/>`,
  shrink: svg`<path d="M20 10h-6V4M4 14h6v6M14 10l6-6M10 14l-6 6"/>`,
  sound: svg`<path d="M4 9.5v5h3.5L12 18V6L7.5 9.5zM15.5 9a4 4 0 0 1 0 6M18 6.5a8 8 0 0 1 0 11"/>`,
  mute: svg`<path d="M4 9.5v5h3.5L12 18V6L7.5 9.5zM16 9.5l5 5M21 9.5l-5 5"/>`,
  record: svg`<circle cx="12" cy="12" r="8.5"/><circle cx="12" cy="12" r="3.5" fill="currentColor"/>`,
  live: svg`<circle cx="12" cy="12" r="2.5" fill="currentColor"/><path d="M7.5 16.5a6.4 6.4 0 0 1 0-9M16.5 7.5a6.4 6.4 0 0 1 0 9M4.7 19.3a10.3 10.3 0 0 1 0-14.6M19.3 4.7a10.3 10.3 0 0 1 0 14.6"/>`,
  play: svg`<path d="M8 5.5v13l10.5-6.5z" fill="currentColor"/>`,
  reverse: svg`<path d="M16 5.5v13L5.5 12z" fill="currentColor"/>`,
  pause: svg`<rect x="7" y="6" width="3.5" height="12" rx="1" fill="currentColor"/><rect x="13.5" y="6" width="3.5" height="12" rx="1" fill="currentColor"/>`,
  "frame-back": svg`<path d="M15 6l-6 6 6 6M18.5 6v12"/>`,
  frame: svg`<path d="M9 6l6 6-6 6M5.5 6v12"/>`,
  "keyframe-back": svg`<path d="M12.5 6l-6 6 6 6M18.5 6l-6 6 6 6"/>`,
  keyframe: svg`<path d="M11.5 6l6 6-6 6M5.5 6l6 6-6 6"/>`,
  "activity-back": svg`<path d="M9 5l-5 7 5 7M11 12h2.5l2-5 2.5 10 1.5-5H21"/>`,
  activity: svg`<path d="M15 5l5 7-5 7M3 12h1.5L6 7l2.5 10 2-5H13"/>`,
  busiest: svg`<path d="M5 19.5V13M10 19.5V5M15 19.5V9.5M20 19.5V15"/>`,
  link: svg`<path d="M10 14a4 4 0 0 0 5.7 0l3-3a4 4 0 0 0-5.7-5.7l-1 1M14 10a4 4 0 0 0-5.7 0l-3 3a4 4 0 0 0 5.7 5.7l1-1"/>`,
  export: svg`<path d="M12 4v10.5M8 11l4 4 4-4M5 19.5h14"/>`,
  incident: svg`<path d="M6 21V4.5M6 5h11.5l-2.5 4 2.5 4H6"/>`,
  "zoom-in": svg`<circle cx="11" cy="11" r="6.5"/><path d="M16 16l4.5 4.5M8.5 11h5M11 8.5v5"/>`,
  "zoom-out": svg`<circle cx="11" cy="11" r="6.5"/><path d="M16 16l4.5 4.5M8.5 11h5"/>`,
  sheet: svg`<rect x="4" y="5" width="7" height="6" rx="1"/><rect x="13" y="5" width="7" height="6" rx="1"/><rect x="4" y="13" width="7" height="6" rx="1"/><rect x="13" y="13" width="7" height="6" rx="1"/>`,
  coverage: svg`<path d="M12 3.5a8.5 8.5 0 1 0 8.5 8.5H12z"/><path d="M15.5 3.9a8.5 8.5 0 0 1 4.6 4.6h-4.6z"/>`,
  fullscreen: svg`<path d="M4 9V4h5M15 4h5v5M20 15v5h-5M9 20H4v-5"/>`,
  walls: svg`<path d="M4 5h7v6H4zM13 5h7v6h-7zM4 13h7v6H4z"/><path d="M16.5 13.5v6M13.5 16.5h6"/>`,
  health: svg`<path d="M3 12.5h4l2.5-6 4 12 2.5-6h5"/>`,
  fold: svg`<path d="M6 9.5l6 6 6-6"/>`,
  unfold: svg`<path d="M9.5 6l6 6-6 6"/>`,
  screen: svg`<rect x="3" y="5" width="18" height="11.5" rx="1.5"/><path d="M9 20h6M12 16.5V20"/>`,
  events: svg`<path d="M6.5 16.5V11a5.5 5.5 0 0 1 11 0v5.5l1.5 2H5zM10 21h4"/>`,
  person: svg`<circle cx="12" cy="8.5" r="3.5"/><path d="M5 20c.8-3.6 3.6-5.5 7-5.5s6.2 1.9 7 5.5"/>`,
  downloads: svg`<path d="M12 4v9.5M8.2 10l3.8 3.8L15.8 10M4.5 15v4.5h15V15"/>`,
  replay: svg`<path d="M4.5 12a7.5 7.5 0 1 0 2.4-5.5M4.5 4v4h4"/>`,
  lock: svg`<rect x="5" y="11" width="14" height="9" rx="2"/><path d="M8 11V8a4 4 0 0 1 8 0v3"/>`,
  place: svg`<path d="M12 21s6-5.6 6-11a6 6 0 1 0-12 0c0 5.4 6 11 6 11z"/><path d="M12 7.5V10l1.8 1.2"/>`,
  still: svg`<path d="M4 8h3.5L9 6h6l1.5 2H20v11H4z"/><circle cx="12" cy="13" r="3.2"/>`,
  panel: svg`<rect x="3.5" y="5" width="17" height="14" rx="2"/><path d="M9.5 5v14"/>`,
  timeline: svg`<path d="M3.5 12h17M7 9v6M12 7v10M17 9v6"/>`,
  upload: svg`<path d="M12 15V4.5M8 8l4-4 4 4M5 19.5h14"/>`,
  warning: svg`<path d="M12 4.5L3 19.5h18zM12 10v4.5M12 17v.1"/>`,
  check: svg`<path d="M5 12.5l4.5 4.5L19 7"/>`,
} satisfies Record<string, SVGTemplateResult>;

export type IconName = keyof typeof PATHS;

export function icon(name: IconName): TemplateResult {
  return html`<svg class="icon" viewBox="0 0 24 24" width="20" height="20" fill="none" stroke="currentColor" stroke-width="1.75"
    stroke-linecap="round" stroke-linejoin="round" aria-hidden="true" focusable="false">${PATHS[name]}</svg>`;
}
