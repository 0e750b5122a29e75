import { css } from "lit";

export const mapPanelStyles = css`
  :host {
    display: flex;
    flex-direction: column;
    width: min(0.46 * var(--view-width), 860px);
    height: 100%;
    min-height: 0;
    background: var(--panel);
    border-left: 1px solid var(--line);
  }
  .head,
  .under {
    display: flex;
    flex-wrap: wrap;
    align-items: center;
    gap: 4px;
    padding: 8px 10px;
  }
  h2 {
    flex: 1;
    margin: 0 0 0 4px;
    font-size: 17px;
    font-weight: 600;
  }
  .under {
    justify-content: space-between;
    min-height: 50px;
    color: var(--text-soft);
    border-top: 1px solid var(--line);
  }
  .view {
    position: relative;
    flex: 1;
    min-height: 0;
    overflow: hidden;
    background: #12171d;
  }
  .ground {
    position: absolute;
    inset: 0;
  }
  .marks {
    position: absolute;
    inset: 0;
    pointer-events: none;
  }
  .mark {
    position: absolute;
    left: 0;
    top: 0;
    min-width: 44px;
    min-height: 44px;
    padding: 0;
    background: transparent;
    color: var(--text);
    pointer-events: auto;
  }
  .mark:hover:not(:disabled) {
    background: transparent;
  }
  .mark > .icon {
    position: relative;
    width: 26px;
    height: 26px;
    padding: 5px;
    border: 2px solid var(--line);
    border-radius: 50%;
    background: var(--screen);
  }
  .mark.on-wall > .icon {
    border-color: var(--accent);
  }
  .mark:hover > .icon,
  .mark:focus-visible > .icon {
    border-color: var(--focus);
  }
  .mark.cluster {
    gap: 5px;
    min-height: 34px;
    padding: 0 11px 0 5px;
    border: 2px solid var(--line);
    border-radius: 18px;
    background: var(--screen);
    font-weight: 600;
    font-variant-numeric: tabular-nums;
  }
  .mark.cluster > .icon {
    border: 0;
  }
  .mark.cluster.on-wall {
    border-color: var(--accent);
  }
  .mark.cluster[data-status="offline"] {
    border-color: var(--fault);
  }
  .mark.cluster[data-status="degraded"] {
    border-color: var(--warn);
  }
  .ground .maplibregl-ctrl-attrib,
  .ground .maplibregl-ctrl-attrib a {
    background: rgb(8 10 13 / 0.8);
    color: var(--text-soft);
  }
  .wedge {
    position: absolute;
    width: 92px;
    height: 92px;
    fill: rgb(140 193 234 / 0.45);
    pointer-events: none;
  }
  .drawing {
    position: absolute;
    inset: 0;
    width: 100%;
    height: 100%;
    cursor: crosshair;
    touch-action: none;
  }
  .picking .ground canvas,
  .picking .mark {
    cursor: crosshair;
  }
  .drawing polygon {
    fill: rgb(140 193 234 / 0.16);
    stroke: var(--focus);
    stroke-width: 2;
  }
  .plate {
    position: absolute;
    top: 10px;
    left: 50%;
    max-width: calc(100% - 24px);
    margin: 0;
    padding: 6px 12px;
    border-radius: 6px;
    background: rgb(8 10 13 / 0.9);
    transform: translateX(-50%);
  }
  .plate.low {
    top: auto;
    bottom: 10px;
    color: var(--text-soft);
    font-size: 13px;
  }
  .lower {
    /* Its height does not hang on its rows: the map keeps its size. */
    flex: 0 0 32%;
    min-height: 0;
  }
  .list {
    height: 100%;
    margin: 0;
    padding: 0 6px;
    list-style: none;
    overflow-anchor: none;
  }
  li {
    height: 48px;
  }
  li button {
    width: 100%;
    min-height: 48px;
    justify-content: flex-start;
    gap: 10px;
    color: var(--text);
  }
  li button:focus-visible {
    outline-offset: -2px;
  }
  li .on-wall .name {
    color: var(--accent);
  }
  .name {
    flex: 1;
    overflow: hidden;
    text-align: left;
    text-overflow: ellipsis;
  }
  .arrow {
    color: var(--text-dim);
  }
  .empty {
    margin: 16px;
    color: var(--text-soft);
  }
  @media (max-width: 760px) {
    :host {
      width: 100%;
    }
  }
`;
