"""What is asked of a recorder: footage, clips, playback, evidence, activity, coverage."""
