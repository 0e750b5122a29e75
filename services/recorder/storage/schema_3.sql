-- What is known of signatures: a recorder signs late only what it never signed, and what has the seal that is stored here.

ALTER TABLE segment ADD COLUMN signed INTEGER NOT NULL DEFAULT 1;  -- services/recorder/storage/rows.py, Signing
-- Rows from before are of segments that were signed when they were closed, but for those of a full disk.

-- Of a file that is being written: the total of its seals (services/recorder/storage/proof.py, add_seal) up to the last
-- fragment that is known to be on the disk, and up to each since, one after the other. The last one is stored before its
-- fragment is written, so that after the death of the process the file ends with one of the last two.
ALTER TABLE open_segment ADD COLUMN synced BLOB NOT NULL DEFAULT x'';
ALTER TABLE open_segment ADD COLUMN seals BLOB NOT NULL DEFAULT x'';
