"""Asks recorders: timelines, clips, playback, activity, coverage, evidence."""
