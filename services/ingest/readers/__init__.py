"""Readers: where packets come from, behind one seam (`source`)."""
