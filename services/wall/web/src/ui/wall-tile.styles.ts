import { css } from "lit";

export const wallTileStyles = css`
  :host {
    position: relative;
    display: block;
    min-width: 0;
    min-height: 0;
    overflow: hidden;
    background: var(--ground);
    container-type: size;
    --strip: clamp(19px, 3.1vmin, 40px);
    outline: none;
    cursor: default;
    user-select: none;
  }
  /* Fingers zoom and move the picture (pan-zoom.ts). */
  :host([enlarged]) {
    touch-action: none;
  }
  /* The strip stands above the picture: a camera's own name and clock stay readable. */
  .screen {
    position: absolute;
    inset: var(--strip) 0 0;
  }
  .screen {
    overflow: hidden;
  }
  .zoomed {
    position: absolute;
    inset: 0;
    transform-origin: 0 0;
  }
  .screen.dim {
    filter: brightness(0.35) saturate(0.6);
  }
  video,
  canvas {
    position: absolute;
    inset: 0;
    width: 100%;
    height: 100%;
    object-fit: contain;
  }
  .edge {
    position: absolute;
    inset: 0;
    border: 2px solid transparent;
    pointer-events: none;
  }
  /* That a picture is not live is seen from across the room: by the whole frame. */
  :host([data-source="recorded"]) .edge {
    box-shadow: inset 0 0 0 3px #b98a2c;
  }
  :host([data-source="recorded"]) .head {
    background: #3a2c10;
  }
  :host([selected]) .edge {
    border-color: var(--accent);
  }
  :host([enlarged]) .edge {
    border-color: transparent;
  }
  :host(:focus-visible) .edge {
    border-width: 3px;
    border-color: var(--focus);
  }
  .edge.drop {
    border: 3px dashed var(--focus);
  }
  .head {
    position: absolute;
    inset: 0 0 auto;
    display: flex;
    align-items: center;
    gap: 8px;
    height: var(--strip);
    padding: 0 clamp(7px, 1cqi, 10px);
    background: var(--panel);
    font-size: calc(var(--strip) * 0.6);
    line-height: 1;
    pointer-events: none;
  }
  .number {
    flex: none;
    color: var(--text-soft);
    font-variant-numeric: tabular-nums;
  }
  .name {
    display: flex;
    align-items: center;
    flex: 1 1 auto;
    gap: 0.5em;
    min-width: 0;
    color: var(--text);
    font-weight: 600;
  }
  .name > span {
    overflow: hidden;
    padding: 0.2em 0;
    text-overflow: ellipsis;
    white-space: nowrap;
  }
  .name .icon {
    flex: none;
    width: 0.72em;
    height: 0.72em;
  }
  .badges {
    display: flex;
    align-items: center;
    justify-content: flex-end;
    gap: 4px;
    flex: 0 0 auto;
    max-width: 70%;
    overflow: hidden;
  }
  .badge,
  .picture-time {
    padding: 0.16em 0.5em;
    border-radius: 4px;
    background: var(--raised);
    color: var(--text-soft);
    font-size: 0.9em;
    white-space: nowrap;
  }
  .badge.warn {
    color: var(--warn);
  }
  .picture-time {
    color: var(--text);
    font-size: 1em;
    font-weight: 600;
    font-variant-numeric: tabular-nums;
  }
  .badge.recorded,
  .picture-time.recorded {
    background: #5a4413;
    color: #f7e6bd;
  }
  .message {
    position: absolute;
    inset: var(--strip) 0 0;
    display: flex;
    align-items: center;
    justify-content: center;
    padding: 2% 5%;
    text-align: center;
    color: var(--text-soft);
    font-size: clamp(12px, 3.7cqi, 24px);
    line-height: 1.3;
    pointer-events: none;
  }
  .plate {
    display: flex;
    flex-direction: column;
    align-items: center;
    gap: 0.15em;
    max-width: 100%;
  }
  /* Over a picture that is white 4.5:1 and more. */
  .dim + .message .plate {
    padding: 0.5em 0.9em;
    border-radius: 8px;
    background: var(--shade);
  }
  .message .icon {
    width: clamp(22px, 15cqmin, 72px);
    height: clamp(22px, 15cqmin, 72px);
    margin-bottom: 0.25em;
  }
  .message strong {
    color: var(--text);
    font-size: 1.22em;
    font-weight: 600;
  }
  .message.fault .icon {
    color: var(--fault);
  }
  .message.wait .icon,
  .message.wait strong,
  .message.idle .icon,
  .message.idle strong {
    color: var(--text-dim);
    font-weight: 500;
  }
  .message .since,
  .message .retry {
    color: var(--text-soft);
    font-variant-numeric: tabular-nums;
  }
  .message .age {
    color: var(--text);
    font-size: 1.15em;
    font-weight: 600;
    font-variant-numeric: tabular-nums;
  }
  .message .detail {
    display: none;
    max-width: 80%;
    color: var(--text-dim);
    font-size: 0.8em;
    overflow-wrap: anywhere;
  }
  :host([enlarged]) .message .detail {
    display: block;
  }
  @container (max-height: 120px) {
    .message .icon {
      display: none;
    }
  }
  .tools {
    position: absolute;
    right: 4px;
    bottom: 4px;
    display: flex;
    flex-wrap: wrap;
    justify-content: flex-end;
    gap: 2px;
    max-width: calc(100% - 8px);
    padding: 2px;
    border-radius: 7px;
    background: var(--shade);
    opacity: 0;
  }
  :host(:hover) .tools,
  .tools:focus-within {
    opacity: 1;
  }
  .tools button {
    min-height: 30px;
    width: 32px;
    color: var(--text);
  }
  @container (max-width: 200px) {
    .tools button {
      min-height: 24px;
      width: 26px;
    }
    .badge {
      display: none;
    }
  }
  /* A finger's tap on the picture selects the tile, and must not hit a button that it brings up. */
  @media (hover: none) {
    .tools {
      visibility: hidden;
    }
    :host(:hover) .tools,
    .tools:focus-within {
      visibility: visible;
      transition: visibility 0s 0.3s;
    }
    .tools button {
      min-width: 44px;
      min-height: 44px;
    }
  }
`;
