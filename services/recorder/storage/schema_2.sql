-- What makes the archive quick to search: joined footage, activity. All of it follows from `segment` and `gop`.

-- What `segment` joins to: footage of one tier without a hole of a second (services/contracts/recordings.py, MIN_GAP_US),
-- kept by the triggers, so that a month's timeline is a few rows and not one a minute.
CREATE TABLE run (
  stream_id INTEGER NOT NULL REFERENCES stream,
  tier      INTEGER NOT NULL,  -- as in segment
  from_us   INTEGER NOT NULL,
  to_us     INTEGER NOT NULL,
  PRIMARY KEY (stream_id, tier, from_us)
) WITHOUT ROWID;

INSERT INTO run
  SELECT stream_id, tier, min(start_us), max(end_us) FROM (
    SELECT *, sum(begins) OVER (PARTITION BY stream_id, tier ORDER BY start_us) AS number FROM (
      SELECT stream_id, tier, start_us, end_us,
        coalesce(start_us >= 1000000 + max(end_us) OVER (
          PARTITION BY stream_id, tier ORDER BY start_us ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ), 1) AS begins
      FROM segment
    )
  ) GROUP BY stream_id, tier, number;

CREATE TRIGGER run_grows AFTER INSERT ON segment BEGIN
  INSERT OR REPLACE INTO run VALUES (
    new.stream_id, new.tier,
    coalesce(
      (SELECT CASE WHEN to_us > new.start_us - 1000000 THEN from_us END FROM run
        WHERE stream_id = new.stream_id AND tier = new.tier AND from_us <= new.start_us ORDER BY from_us DESC LIMIT 1),
      new.start_us),
    max(
      new.end_us,
      coalesce((SELECT to_us FROM run
        WHERE stream_id = new.stream_id AND tier = new.tier AND from_us <= new.start_us ORDER BY from_us DESC LIMIT 1), 0),
      coalesce((SELECT max(to_us) FROM run
        WHERE stream_id = new.stream_id AND tier = new.tier
          AND from_us > new.start_us AND from_us < new.end_us + 1000000), 0))
  );
  DELETE FROM run WHERE stream_id = new.stream_id AND tier = new.tier
    AND from_us > new.start_us AND from_us < new.end_us + 1000000;
END;

CREATE TRIGGER run_shrinks AFTER DELETE ON segment BEGIN
  -- What follows the segment in its run becomes one of its own …
  INSERT OR IGNORE INTO run
    SELECT whole.stream_id, whole.tier, after.start_us,
      CASE WHEN old.end_us < whole.to_us THEN whole.to_us ELSE (
        SELECT end_us FROM segment WHERE stream_id = old.stream_id AND tier = old.tier AND start_us < whole.to_us
          ORDER BY start_us DESC LIMIT 1) END
    FROM (
      SELECT * FROM run WHERE stream_id = old.stream_id AND tier = old.tier AND from_us <= old.start_us
        ORDER BY from_us DESC LIMIT 1
    ) AS whole
    JOIN segment AS after ON after.stream_id = old.stream_id AND after.start_us = (
      SELECT min(start_us) FROM segment
        WHERE stream_id = old.stream_id AND tier = old.tier AND start_us > old.start_us AND start_us < whole.to_us);
  -- … and the run ends with what was before.
  UPDATE run SET to_us = (
      SELECT end_us FROM segment WHERE stream_id = old.stream_id AND tier = old.tier AND start_us < old.start_us
        ORDER BY start_us DESC LIMIT 1)
    WHERE stream_id = old.stream_id AND tier = old.tier AND from_us < old.start_us AND from_us = (
      SELECT max(from_us) FROM run
        WHERE stream_id = old.stream_id AND tier = old.tier AND from_us <= old.start_us);
  DELETE FROM run WHERE stream_id = old.stream_id AND tier = old.tier AND from_us = old.start_us;
END;

-- How much moved, an hour a row: services/recorder/storage/levels.py. There only where there is footage, thinned or not.
CREATE TABLE activity (
  stream_id INTEGER NOT NULL REFERENCES stream,
  hour      INTEGER NOT NULL,  -- since 1970
  levels    BLOB NOT NULL,     -- a byte for each 4 s; 0: not known
  PRIMARY KEY (stream_id, hour)
) WITHOUT ROWID;

-- Segments whose GOPs are still to be judged, oldest first.
CREATE TABLE unscored (
  stream_id INTEGER NOT NULL REFERENCES stream,
  start_us  INTEGER NOT NULL,  -- as in segment
  PRIMARY KEY (stream_id, start_us)
) WITHOUT ROWID;

-- What is usual in front of a camera. Another formula makes the scorer judge all of the stream's footage again.
CREATE TABLE baseline (
  stream_id INTEGER PRIMARY KEY REFERENCES stream,
  formula   INTEGER NOT NULL,  -- services/recorder/motion/activity.py, FORMULA
  state     BLOB NOT NULL      -- services/recorder/motion/activity.py, Baseline
);
