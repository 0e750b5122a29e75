import { css } from "lit";

export const timelineViewStyles = css`
  :host {
    position: relative;
    display: block;
  }
  canvas {
    display: block;
    width: 100%;
    cursor: crosshair;
    touch-action: none;
  }
  .tip {
    position: absolute;
    bottom: calc(100% + 4px);
    width: 248px;
    overflow: hidden;
    border: 1px solid var(--line);
    border-radius: 7px;
    background: var(--panel);
    pointer-events: none;
    z-index: 5;
  }
  .tip img {
    display: block;
    width: 100%;
    aspect-ratio: 16 / 9;
    object-fit: contain;
    background: var(--screen);
  }
  .tip img.missing {
    display: none;
  }
  .tip div {
    padding: 6px 10px;
    font-size: 13.5px;
    font-variant-numeric: tabular-nums;
  }
  .tip .what {
    padding-top: 0;
    color: var(--text-soft);
  }
`;
