"""Stills: from the live stream, from recordings, and sheets of them."""
