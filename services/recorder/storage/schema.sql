-- The index of one recordings directory. Only files below the same directory are named in it, and all of it but the
-- open rows of `gap` can be rebuilt from them (docs/recording.md, I6).

CREATE TABLE meta (
  key   TEXT PRIMARY KEY,  -- directory_id, recorder, heartbeat_us
  value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE stream (
  id      INTEGER PRIMARY KEY,
  site    TEXT NOT NULL,    -- owner of the camera; first part of the path
  camera  TEXT NOT NULL,    -- unique in the whole mesh, over all sites
  profile TEXT NOT NULL,    -- main
  UNIQUE (site, camera, profile)
);

CREATE TABLE segment (
  stream_id      INTEGER NOT NULL REFERENCES stream,
  start_us       INTEGER NOT NULL,  -- capture time of the first picture, Unix µs; in whole ms it is the file's name, and unique
  end_us         INTEGER NOT NULL,  -- where the last picture's duration ends
  size_bytes     INTEGER NOT NULL,  -- of the file
  tier           INTEGER NOT NULL,  -- 0 full, 1 keyframes
  state          INTEGER NOT NULL,  -- 0 closed, 1 deleting, 2 replacing (docs/recording.md, Remove and Thin)
  frames         INTEGER NOT NULL,  -- pictures
  keyframes      INTEGER NOT NULL,  -- pictures that decoding can begin at
  codec          TEXT NOT NULL,     -- FFmpeg's name of the picture's codec
  width_px       INTEGER NOT NULL,
  height_px      INTEGER NOT NULL,
  audio          TEXT NOT NULL,     -- FFmpeg's name of the sound's codec, empty without sound
  uncertainty_us INTEGER NOT NULL,  -- half-width of the interval around start_us
  clock          TEXT NOT NULL,     -- where capture times come from: arrival, rtcp
  retimed        INTEGER NOT NULL,  -- pictures placed by capture time, or whose capture time was not believed
  link           BLOB NOT NULL,     -- the last fragment's seal, SHA-256
  PRIMARY KEY (stream_id, start_us)
) WITHOUT ROWID;

-- The oldest of a stream's tier, and what is not closed: what retention and start ask for.
CREATE INDEX segment_by_tier ON segment (stream_id, tier, start_us);
CREATE INDEX segment_unsettled ON segment (state) WHERE state != 0;

CREATE TABLE gop (
  stream_id INTEGER NOT NULL,
  start_us  INTEGER NOT NULL,  -- of the segment
  entries   BLOB NOT NULL,     -- keyframe index and bytes per GOP: services/recorder/storage/gops.py
  PRIMARY KEY (stream_id, start_us)
) WITHOUT ROWID;

-- What `segment` adds up to, kept by the triggers, so that budgets and forecasts need not read it all.
CREATE TABLE usage (
  stream_id  INTEGER NOT NULL REFERENCES stream,
  tier       INTEGER NOT NULL,  -- as in segment
  segments   INTEGER NOT NULL,
  size_bytes INTEGER NOT NULL,
  length_us  INTEGER NOT NULL,  -- of the footage
  PRIMARY KEY (stream_id, tier)
) WITHOUT ROWID;

CREATE TRIGGER segment_added AFTER INSERT ON segment BEGIN
  INSERT INTO usage VALUES (new.stream_id, new.tier, 1, new.size_bytes, new.end_us - new.start_us)
    ON CONFLICT DO UPDATE SET segments = segments + 1, size_bytes = size_bytes + excluded.size_bytes,
      length_us = length_us + excluded.length_us;
END;

CREATE TRIGGER segment_removed AFTER DELETE ON segment BEGIN
  UPDATE usage SET segments = segments - 1, size_bytes = size_bytes - old.size_bytes,
    length_us = length_us - (old.end_us - old.start_us)
  WHERE stream_id = old.stream_id AND tier = old.tier;
END;

-- Files that may be on disk and are not in `segment` yet. Committed before the file is created (I3).
CREATE TABLE open_segment (
  stream_id INTEGER NOT NULL REFERENCES stream,
  start_us  INTEGER NOT NULL,  -- as in segment
  PRIMARY KEY (stream_id, start_us)
) WITHOUT ROWID;

CREATE TABLE gap (
  stream_id INTEGER NOT NULL REFERENCES stream,
  from_us   INTEGER NOT NULL,  -- end of the footage before
  to_us     INTEGER,           -- beginning of the footage after; NULL while the gap lasts
  cause     TEXT NOT NULL,     -- services/contracts/recordings.py, Cause
  detail    TEXT NOT NULL,
  PRIMARY KEY (stream_id, from_us, cause)
) WITHOUT ROWID;
