"""From the bus to fragments of segments: timing, codecs, sound, gaps and their causes."""
