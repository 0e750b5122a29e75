import { css } from "lit";

export const cameraListStyles = css`
  :host {
    display: flex;
    flex-direction: column;
    width: var(--list-width, 308px);
    height: 100%;
    min-height: 0;
    background: var(--panel);
    border-right: 1px solid var(--line);
  }
  @media (max-width: 760px) {
    :host {
      width: 100%;
    }
  }
  .search {
    position: relative;
    display: flex;
    align-items: center;
    margin: 10px 10px 6px;
    color: var(--text-dim);
  }
  .search .icon {
    position: absolute;
    left: 10px;
    pointer-events: none;
  }
  .search input {
    width: 100%;
    height: 38px;
    padding: 0 34px 0 38px;
    border: 1px solid var(--line);
    border-radius: 7px;
    background: var(--ground);
    color: var(--text);
  }
  .search input::placeholder {
    color: var(--text-dim);
  }
  .search input::-webkit-search-cancel-button {
    display: none;
  }
  kbd {
    position: absolute;
    right: 10px;
    padding: 0 6px;
    border: 1px solid var(--line);
    border-radius: 4px;
    font: inherit;
    font-size: 12.5px;
    pointer-events: none;
  }
  .filters {
    display: grid;
    grid-template-columns: repeat(3, minmax(0, 1fr));
    gap: 2px;
    margin: 0 10px 8px;
  }
  .fill {
    margin: 0 10px 8px;
  }
  .filters button {
    flex-direction: column;
    min-height: 44px;
    padding: 2px 4px;
    gap: 0;
    font-size: 13px;
    line-height: 1.3;
  }
  .filters b {
    font-weight: 600;
    color: var(--text);
    font-variant-numeric: tabular-nums;
  }
  .filters .faulty b {
    color: var(--warn);
  }
  ul {
    flex: 1;
    min-height: 0;
    margin: 0;
    padding: 0 6px;
    list-style: none;
    /* Rows come and go above the view. */
    overflow-anchor: none;
  }
  li {
    position: relative;
    display: flex;
    align-items: center;
    height: 56px;
    border-radius: 6px;
  }
  .camera {
    flex: 1;
    min-width: 0;
    min-height: 56px;
    justify-content: flex-start;
    gap: 11px;
    padding: 1px 9px;
    text-align: left;
    color: var(--text);
    cursor: grab;
  }
  li button:focus-visible {
    /* The row clips what stands out. */
    outline-offset: -2px;
  }
  li.on-wall::before {
    content: "";
    position: absolute;
    left: 0;
    top: 10px;
    bottom: 10px;
    width: 3px;
    border-radius: 2px;
    background: var(--accent);
  }
  .text {
    display: grid;
    min-width: 0;
    line-height: 1.2;
  }
  .name,
  .second {
    overflow: hidden;
    text-overflow: ellipsis;
  }
  .name {
    display: -webkit-box;
    font-size: 15.5px;
    white-space: normal;
    overflow-wrap: anywhere;
    -webkit-box-orient: vertical;
    -webkit-line-clamp: 2;
  }
  .second {
    font-size: 13px;
    color: var(--text-dim);
  }
  li[data-status="offline"] .second {
    color: var(--fault);
  }
  li[data-status="degraded"] .second {
    color: var(--warn);
  }
  .edit,
  .saw {
    position: absolute;
    right: 6px;
    opacity: 0;
    background: var(--raised);
  }
  .saw:has(+ .edit) {
    right: 44px;
  }
  li:hover :is(.edit, .saw),
  :is(.edit, .saw):focus-visible {
    opacity: 1;
  }
  /* Where no pointer hovers, no finger may press what it does not see. */
  @media (hover: none) {
    .edit,
    .saw {
      position: static;
      opacity: 1;
      background: transparent;
    }
  }
  .list-empty {
    flex: 1;
  }
  .empty {
    margin: 24px 20px;
    color: var(--text-soft);
    text-align: center;
  }
  .empty.none {
    display: grid;
    justify-items: center;
    gap: 6px;
    margin-top: 48px;
  }
  .empty.none .icon {
    width: 40px;
    height: 40px;
    margin-bottom: 6px;
    color: var(--text-dim);
  }
  .empty strong {
    font-size: 17px;
    color: var(--text);
  }
  .admin {
    display: grid;
    grid-template-columns: 1.5fr 1fr;
    gap: 8px;
    padding: 10px;
    border-top: 1px solid var(--line);
  }
`;
