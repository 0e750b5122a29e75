"""`make bench`: measured ratios. Every section compares with a peer or a floor in the same run and prints a table."""
