"""What a browser cannot decode, made into what it can: one conversion a camera, in a process of its own."""
