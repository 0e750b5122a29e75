"""The send kernel: the part of sending that C does where it was built, and the structs that C and Python share."""
