"""How much moves in front of a camera, measured on the compressed stream."""
