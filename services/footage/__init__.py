"""What asks recorders: timelines, clips, playback, activity, coverage, evidence."""
