"""Where a slot's frames come from: live feeds, recordings, conversions, sound."""
