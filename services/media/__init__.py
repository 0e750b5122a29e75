"""Sans-IO media code: bytes and integers in, bytes and integers out. Knows no sockets, files, loops or clocks."""
