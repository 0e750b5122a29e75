"""The signed statements about footage, and how they travel."""
