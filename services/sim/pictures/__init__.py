"""The simulated streets: drawn, marked, encoded."""
