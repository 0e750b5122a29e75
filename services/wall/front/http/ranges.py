"""Single byte ranges (RFC 9110, section 14). Pure."""

import re
from typing import NamedTuple

_BYTES = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.IGNORECASE | re.ASCII)


class ByteRange(NamedTuple):
    """A part of a file."""

    offset: int
    size_bytes: int

    def content_range(self, total_bytes: int) -> str:
        """The value of ``Content-Range``."""
        return f"bytes {self.offset}-{self.offset + self.size_bytes - 1}/{total_bytes}"


class UnsatisfiableRangeError(ValueError):
    """The range begins behind the end of the file."""


def parse_range(header: str | None, total_bytes: int) -> ByteRange | None:
    """The part that ``Range`` asks for; None for all of it, which several ranges and other units get too.

    Raises `UnsatisfiableRangeError`.
    """
    found = _BYTES.fullmatch(header.strip()) if header else None
    if found is None or found[1] == found[2] == "":
        return None
    if found[1] == "":  # the last so many bytes
        size = min(int(found[2]), total_bytes)
        if not size:
            raise UnsatisfiableRangeError
        return ByteRange(total_bytes - size, size)
    first = int(found[1])
    last = min(int(found[2]), total_bytes - 1) if found[2] else total_bytes - 1
    if found[2] and int(found[2]) < first:
        return None  # not a range (14.1.1): ignored
    if first >= total_bytes:
        raise UnsatisfiableRangeError
    return ByteRange(first, last - first + 1)
