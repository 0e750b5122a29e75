"""The recorder's answers: footage, clips, playback, evidence, activity, coverage."""
