import { css } from "lit";

export const timelineViewStyles = css`
  :host {
    display: grid;
    /* As wide as the day strip's buttons above. */
    grid-template-columns: 174px minmax(0, 1fr);
  }
  .names,
  .lanes {
    position: relative;
  }
  .names {
    font-size: 12px;
  }
  .names div {
    position: absolute;
    inset-inline: 10px 8px;
    overflow: hidden;
    text-overflow: ellipsis;
    white-space: nowrap;
    color: var(--text-soft);
  }
  .names .selected {
    display: flex;
    align-items: center;
    color: var(--text);
    font-weight: 600;
    white-space: normal;
  }
  .selected span {
    display: -webkit-box;
    overflow: hidden;
    line-height: 14px;
    -webkit-box-orient: vertical;
    -webkit-line-clamp: 3;
  }
  .names .others {
    color: var(--text-dim);
  }
  @media (max-width: 760px) {
    :host {
      grid-template-columns: 96px minmax(0, 1fr);
    }
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
