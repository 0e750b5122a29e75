"""Segments and their index on disk: written, found, checked, mended."""
