"""From the bus to pieces of segments: timing, codecs, sound, gaps and their causes."""
