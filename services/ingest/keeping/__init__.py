"""What cameras delivered and no recorder has acknowledged yet: in memory, then in a spool on disk (docs/footage.md)."""
