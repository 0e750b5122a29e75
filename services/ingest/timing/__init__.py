"""From packets to timed access units: assembling, re-timing, capture time."""
