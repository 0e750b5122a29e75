"""The conversion process: access units in by a pipe, access units out."""
