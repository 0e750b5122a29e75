"""UDP generic segmentation offload: whether this machine does it (udp(7), UDP_SEGMENT; Linux 4.18)."""

import socket
import struct
import sys
from typing import Final

SOL_UDP: Final = 17
UDP_SEGMENT: Final = 103


def probe() -> str:
    """Empty where three datagrams sent by one call arrive as three; otherwise why they do not."""
    if sys.platform != "linux":
        return f"{sys.platform} has no UDP segmentation offload"
    try:
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
        ):
            receiver.bind(("127.0.0.1", 0))
            receiver.settimeout(1.0)
            control = [(SOL_UDP, UDP_SEGMENT, struct.pack("=H", 100))]
            sender.sendmsg([bytes(250)], control, 0, receiver.getsockname())
            sizes = [len(receiver.recv(2000)) for _ in range(3)]
    except OSError as error:
        return f"the probe failed: {error}"
    return "" if sizes == [100, 100, 50] else f"the probe arrived as {sizes}"
