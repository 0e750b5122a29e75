"""Pantau: an open, self-hosted video mesh for city command centres."""

__version__ = "0.1.0"
