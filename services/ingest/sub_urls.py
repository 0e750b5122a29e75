"""Where cameras of a make have their second, smaller stream: guesses from the address of the first. Pure."""

import re
from typing import Final

MOST: Final = 3
_PAIRS: Final = (
    (r"(?<=/channels/)(\d+)01\b", r"\g<1>02"),  # Hikvision: /Streaming/Channels/101
    (r"\bsubtype=0\b", "subtype=1"),  # Dahua: /cam/realmonitor?channel=1&subtype=0
    (r"\bstream=0\b", "stream=1"),  # XMeye: /user=…&channel=1&stream=0.sdp
    (r"(?<=_)main\b", "sub"),  # Reolink: /h264Preview_01_main
    (r"(?<=/)main\b", "sub"),  # /h264/ch1/main/av_stream, and many others
    (r"(?<=/stream)1\b", "2"),  # TP-Link: /stream1
    (r"(?<=/video)1\b", "2"),  # Uniview: /media/video1
    (r"(?<=/onvif)1\b", "2"),
    (r"(?<=/profile)1\b", "2"),  # Hanwha: /profile1/media.smp
    (r"(?<=/s)0(?=/)", "1"),  # Uniview: /unicast/c1/s0/live
    (r"(?<=/1)1$", "2"),  # HiSilicon: /11
    (r"(?<=_)0$", "1"),  # /live/ch00_0
    (r"(?<=/live)0\b", "1"),
)


def sub_urls(main_url: str) -> tuple[str, ...]:
    """The addresses at which the sub profile of the source at ``main_url`` may be, at most `MOST`."""
    scheme, separator, rest = main_url.partition("://")
    host, slash, path = rest.partition("/")
    found: list[str] = []
    for pattern, sub in _PAIRS:
        changed = re.sub(pattern, sub, slash + path, count=1, flags=re.IGNORECASE)
        if changed != slash + path:
            found.append(f"{scheme}{separator}{host}{changed}")
    return tuple(dict.fromkeys(found))[:MOST]
