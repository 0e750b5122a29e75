/** What every component shares. The colours are custom properties of `:root` (`styles.css`). */

import { css } from "lit";

export const shared = css`
  *,
  *::before,
  *::after {
    box-sizing: border-box;
  }
  :host([hidden]) {
    display: none !important;
  }
  button,
  input,
  select,
  textarea {
    font: inherit;
    color: inherit;
  }
  button {
    display: inline-flex;
    align-items: center;
    justify-content: center;
    gap: 6px;
    min-height: 34px;
    padding: 4px 10px;
    border: 1px solid transparent;
    border-radius: 6px;
    background: transparent;
    color: var(--text-soft);
    cursor: pointer;
    white-space: nowrap;
  }
  button:hover:not(:disabled) {
    background: var(--raised);
    color: var(--text);
  }
  button:disabled {
    opacity: 0.45;
    cursor: default;
  }
  button[aria-pressed="true"],
  button[aria-checked="true"] {
    background: var(--chosen);
    color: var(--text);
  }
  button.plain {
    border-color: var(--line);
    color: var(--text);
  }
  button.primary {
    background: var(--accent-deep);
    color: var(--text);
  }
  button.primary:hover:not(:disabled) {
    background: var(--accent-deep-hover);
  }
  button.danger {
    border-color: var(--fault-line);
    color: var(--fault);
  }
  button.icon-only {
    width: 34px;
    padding: 0;
  }
  button[slot="actions"] {
    white-space: normal;
  }
  :focus-visible {
    outline: 2px solid var(--focus);
    outline-offset: 2px;
  }
  /* A finger's target on a phone (WCAG 2.5.5), over what a component says of its own buttons. */
  @media (max-width: 760px) {
    :is(a, button, select, summary, input:not([type="checkbox"], [type="radio"])) {
      min-width: 44px !important;
      min-height: 44px !important;
    }
    a,
    summary {
      display: inline-flex;
      align-items: center;
    }
    label:has(> :is([type="checkbox"], [type="radio"])) {
      min-height: 44px;
    }
  }
  .icon {
    flex: none;
  }
  .visually-hidden {
    position: absolute;
    width: 1px;
    height: 1px;
    overflow: hidden;
    clip-path: inset(50%);
    white-space: nowrap;
  }
  .scroll {
    overflow: auto;
    scrollbar-width: thin;
    scrollbar-color: var(--line) transparent;
  }
`;

export const form = css`
  label {
    display: grid;
    align-content: start;
    gap: 4px;
    min-width: 0;
    color: var(--text-soft);
    font-size: 13px;
  }
  label.check {
    display: flex;
    align-items: center;
    gap: 8px;
    color: var(--text);
    font-size: 15px;
  }
  input:not([type="checkbox"], [type="radio"]),
  select,
  textarea {
    width: 100%;
    min-width: 0;
    min-height: 36px;
    padding: 6px 10px;
    border: 1px solid var(--line);
    border-radius: 6px;
    background: var(--ground);
    color: var(--text);
    font-size: 15px;
    color-scheme: dark;
  }
  textarea {
    min-height: 72px;
    resize: vertical;
  }
  input[type="checkbox"],
  input[type="radio"] {
    flex: none;
    width: 18px;
    height: 18px;
    accent-color: var(--accent);
  }
  input[aria-invalid="true"] {
    border-color: var(--fault);
  }
  .hint {
    color: var(--text-dim);
    font-size: 12.5px;
  }
  .error {
    color: var(--fault);
    font-size: 13px;
  }
  .row {
    display: grid;
    grid-template-columns: minmax(0, 1fr) minmax(0, 1fr);
    gap: 12px;
  }
  .fields {
    display: grid;
    grid-template-columns: minmax(0, 1fr);
    gap: 12px;
  }
  @media (max-width: 760px) {
    .row {
      grid-template-columns: minmax(0, 1fr);
    }
  }
`;

/** Tables of text in dialogs. */
export const table = css`
  table {
    width: 100%;
    border-collapse: collapse;
    font-variant-numeric: tabular-nums;
  }
  th {
    text-align: left;
    font-weight: 500;
    color: var(--text-soft);
    font-size: 13px;
  }
  th,
  td {
    padding: 6px 12px 6px 0;
    border-bottom: 1px solid var(--line);
    vertical-align: top;
  }
`;

/** Dialogs of several sections, each with a heading and lists. */
export const sections = css`
  h3 {
    margin: 0;
    color: var(--text-soft);
    font-size: 14px;
    font-weight: 600;
  }
  p,
  ul {
    margin: 0;
    padding: 0;
    list-style: none;
  }
  .meta {
    color: var(--text-soft);
    font-size: 13.5px;
  }
`;

/** A panel beside the wall: its frame, its head, and fingers' targets on a phone, where it covers the wall. */
export const sidePanel = css`
  :host {
    display: flex;
    flex-direction: column;
    width: var(--panel-width, 360px);
    height: 100%;
    background: var(--panel);
    border-left: 1px solid var(--line);
  }
  .head {
    display: flex;
    align-items: center;
    gap: 4px;
    padding: 10px 8px 6px 16px;
  }
  h2 {
    flex: 1;
    margin: 0;
    font-size: 17px;
    font-weight: 600;
  }
  @media (max-width: 760px) {
    :host {
      width: 100%;
    }
  }
`;
