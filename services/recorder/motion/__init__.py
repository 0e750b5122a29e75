"""How much moves in front of a camera, told from the compressed stream."""
