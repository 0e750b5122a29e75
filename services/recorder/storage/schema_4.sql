-- Which segments have pictures that are marked as damaged: few, so that a timeline need not read all keyframe indexes.
CREATE INDEX gop_damaged ON gop (stream_id, start_us) WHERE substr(entries, 1, 1) = x'02';
