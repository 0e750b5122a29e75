-- Up to which picture each stream is recorded, by ingest's numbers: what a recorder acknowledges, and asks on from
-- (docs/footage.md).

-- Of an open file, beside the seals: epoch and sequence of the last picture of the fragment that has `synced`, if any,
-- and of each fragment since (services/recorder/storage/orders.py).
ALTER TABLE open_segment ADD COLUMN orders BLOB NOT NULL DEFAULT x'';

-- Of closed segments. Where the index is built anew there is none; capture times tell then what is there already.
CREATE TABLE position (
  stream_id INTEGER NOT NULL REFERENCES stream,
  epoch     INTEGER NOT NULL,  -- the ingest assignment's
  sequence  INTEGER NOT NULL,  -- of the last picture
  PRIMARY KEY (stream_id, epoch)
) WITHOUT ROWID;
