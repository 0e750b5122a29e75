"""From a slot to packets: tracks, pacing, history, quality."""
