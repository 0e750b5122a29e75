import { css } from "lit";

export const healthDialogStyles = css`
  pantau-modal {
    --modal-width: 1180px;
  }
  .bar {
    display: flex;
    flex-wrap: wrap;
    align-items: center;
    gap: 10px;
  }
  .bar input {
    flex: 1 1 260px;
    width: auto;
  }
  .bar label {
    display: flex;
    align-items: center;
    gap: 8px;
    white-space: nowrap;
  }
  .bar select {
    width: auto;
  }
  .filters {
    display: flex;
    flex-wrap: wrap;
    gap: 4px;
    margin: 10px 0;
  }
  .filters button {
    border-color: var(--line);
  }
  .filters b {
    color: var(--text);
    font-variant-numeric: tabular-nums;
  }
  .board {
    height: calc(var(--view-height) - 290px);
    min-height: 180px;
    margin: 0;
    padding: 0;
    list-style: none;
    overflow-anchor: none;
    border-top: 1px solid var(--line);
  }
  li {
    height: 68px;
    border-bottom: 1px solid var(--line);
  }
  li.camera {
    display: grid;
    grid-template-columns: 96px minmax(0, 1.5fr) minmax(0, 1.4fr) 168px 128px auto;
    align-items: center;
    gap: 14px;
    padding-right: 6px;
  }
  .who,
  .what,
  .long {
    display: grid;
    gap: 1px;
    min-width: 0;
    line-height: 1.3;
  }
  .name,
  .dim,
  .why {
    overflow: hidden;
    text-overflow: ellipsis;
    white-space: nowrap;
  }
  .name {
    font-size: 15.5px;
  }
  .dim {
    color: var(--text-dim);
    font-size: 13px;
  }
  .status {
    display: flex;
    align-items: center;
    gap: 7px;
  }
  .why {
    color: var(--text-soft);
    font-size: 13px;
  }
  .what[data-status="offline"] .why {
    color: var(--fault);
  }
  .what[data-status="degraded"] .why,
  .warn {
    color: var(--warn);
  }
  .long b {
    font-weight: 600;
    font-variant-numeric: tabular-nums;
  }
  .last {
    white-space: normal;
  }
  .tools {
    display: flex;
    gap: 4px;
  }
  .fold {
    width: 100%;
    height: 100%;
    justify-content: flex-start;
    gap: 9px;
    padding: 0 10px;
    color: var(--text);
  }
  .fold .name {
    font-weight: 600;
  }
  @media (max-width: 760px) {
    pantau-modal {
      --modal-width: var(--view-width);
    }
    .bar label,
    .long .dim,
    .last {
      display: none;
    }
    .filters {
      flex-wrap: nowrap;
      overflow-x: auto;
    }
    .board {
      height: calc(var(--view-height) - 250px);
    }
    li {
      height: 140px;
    }
    li.camera {
      grid-template: repeat(3, auto) / 80px minmax(0, 1fr) auto;
      align-content: center;
      gap: 1px 10px;
      padding: 0;
    }
    .camera .name,
    .camera .why {
      display: -webkit-box;
      -webkit-box-orient: vertical;
      -webkit-line-clamp: 2;
      white-space: normal;
    }
    .still {
      grid-area: 1 / 1 / 4 / 2;
      width: 80px;
      height: 45px;
    }
    .who,
    .what,
    .long {
      grid-column: 2;
    }
    .long b {
      font-size: 13px;
      white-space: nowrap;
    }
    .tools {
      grid-area: 1 / 3 / 4 / 4;
      flex-direction: column;
      align-items: center;
    }
  }
`;
