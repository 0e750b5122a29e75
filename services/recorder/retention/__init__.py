"""Retention: rules, holds, thinning, and the pass that carries them out."""
