"""Ports for servers that are started later, or once more: nobody else gets them meanwhile."""

import random
import socket

FIRST_HANDED_OUT = 32_768
"""Linux gives ports from here on to those that ask for any (``ip_local_port_range`` in ip(7)); below it nobody is given
one by chance. A test that has looked for a free one above it loses it now and then to another that runs beside it."""
_chance = random.SystemRandom()


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A port of all addresses on which nothing listens."""
    while True:
        port = _chance.randrange(10_000, FIRST_HANDED_OUT)
        with socket.socket(socket.AF_INET, kind) as probe:
            if kind is socket.SOCK_STREAM:  # connections that have ended linger on it
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("", port))
            except OSError:
                continue
            return port
