// What a person before the wall sees, and when. Needs marker.js. probe.py says which clocks are meant.
window.probe = {
  tiles() {
    const grid = document.querySelector('pantau-app')?.shadowRoot?.querySelector('pantau-wall-grid');
    return [...(grid?.shadowRoot?.querySelectorAll('pantau-wall-tile') ?? [])].filter((tile) => !tile.hidden);
  },
  tile(slot) { return this.tiles().find((tile) => Number(tile.dataset.slot) === slot); },

  // What is seen of a tile: the still that covers the video, the video, or nothing.
  seen(tile) {
    const [still, video] = [tile.shadowRoot?.querySelector('canvas'), tile.shadowRoot?.querySelector('video')];
    if (still?.style.opacity === '1' && still.width > 0) return { source: still, w: still.width, h: still.height };
    if (video?.style.opacity !== '1' || video.videoWidth === 0) return null;
    return { source: video, w: video.videoWidth, h: video.videoHeight };
  },

  // What stands in each tile.
  described() {
    return this.tiles().map((tile) => {
      const part = (selector) => tile.shadowRoot.querySelector(selector);
      const video = part('video');
      return {
        slot: Number(tile.dataset.slot),
        camera: tile.dataset.camera || null,
        name: part('.head .name')?.textContent?.trim() ?? '',
        message: part('.message')?.innerText?.trim() ?? '',
        revealed: video.style.opacity === '1',
        width: video.videoWidth,
      };
    });
  },
  // How many tiles show a moving picture and nothing over it.
  pictures() { return this.described().filter((tile) => tile.revealed && !tile.message).length; },

  read(tile) {
    const seen = this.seen(tile);
    return seen && readMarker(seen.source, seen.w, seen.h);
  },

  // Slot -> what it showed, named, and when it had shown two different frames of that camera.
  moving: {},
  watchFirstPictures() {
    const [before, looked] = [{}, {}];
    const timer = setInterval(() => {
      const tiles = this.tiles().filter((tile) => tile.dataset.camera);
      for (const tile of tiles) {
        const slot = tile.dataset.slot;
        if (slot in this.moving) continue;
        const video = tile.shadowRoot?.querySelector('video');
        const picture = `${this.seen(tile)?.source.localName} ${video?.getVideoPlaybackQuality().totalVideoFrames}`;
        if (looked[slot] === picture) continue;  // reading sixteen pictures again and again would take half a core
        looked[slot] = picture;
        const now = this.read(tile);
        const name = tile.shadowRoot.querySelector('.head .name')?.textContent.trim() ?? '';
        if (!now || name === '') continue;
        const [was, camera] = [before[slot], `cam-${String(now.camera).padStart(3, '0')}`];
        if (was && was.camera === now.camera && was.frame !== now.frame)
          this.moving[slot] = { slot: Number(slot), camera, name, moving_ms: performance.now() };
        before[slot] = now;
      }
      if (tiles.length && tiles.every((tile) => tile.dataset.slot in this.moving)) clearInterval(timer);
    }, 25);
  },

  // Clicks `element` and resolves to the milliseconds until `camera` is seen in the slot; rejects on a wrong picture.
  clickUntilSeen(element, slot, camera) {
    const id = `cam-${String(camera).padStart(3, '0')}`;
    return new Promise((resolve, reject) => {
      const began = performance.now();
      const look = () => {
        const tile = this.tile(slot);
        const now = this.read(tile);
        const passed = performance.now() - began;
        if (now?.camera === camera) return resolve(passed);
        if (now && tile.dataset.camera === id) return reject(new Error(`camera ${now.camera} under the name ${id}`));
        if (passed > 60000) return reject(new Error(`${id} is not seen after 60 s`));
        requestAnimationFrame(look);
      };
      element.click();
      requestAnimationFrame(look);
    });
  },

  // Slot -> [[from, to], ...] in Unix ms: when no new frame was seen for longer than the limit.
  pauses: {},
  last: {},
  watchPauses(limit) {
    setInterval(() => {
      const now = performance.timeOrigin + performance.now();
      for (const tile of this.tiles()) {
        const slot = tile.dataset.slot;
        if (!tile.dataset.camera) continue;
        const video = tile.shadowRoot.querySelector('video');
        const frames = video.getVideoPlaybackQuality().totalVideoFrames;
        const last = (this.last[slot] ??= { frames, at: now });
        if (frames === last.frames || video.style.opacity !== '1') continue;
        if (now - last.at > limit) (this.pauses[slot] ??= []).push([last.at, now]);
        this.last[slot] = { frames, at: now };
      }
    }, 40);
  },
  // Whether every tile has had a new picture since then, Unix ms; or some of them have, by their slots.
  shownSince(since, slots = null) {
    const cameras = this.tiles().filter((tile) => tile.dataset.camera && (slots?.includes(Number(tile.dataset.slot)) ?? true));
    return cameras.length > 0 && cameras.every((tile) => this.last[tile.dataset.slot]?.at > since);
  },

  // What has been true since it was asked for, by name: a test that looks later does not miss it.
  once: {},
  watch(name, holds) {
    this.once[name] = false;
    const timer = setInterval(() => {
      if (!holds()) return;
      this.once[name] = true;
      clearInterval(timer);
    }, 25);
  },
};
