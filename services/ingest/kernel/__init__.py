"""What is done in C with pictures that are as usual: from a camera's bytes to messages of the mesh."""
