"""The last GOPs of a profile: what a viewer is shown before the next keyframe, and what a recorder missed meanwhile."""

from collections import deque


class GopCache:
    """The messages of the access units since the last keyframe, bounded in bytes.

    A GOP that outgrows the bound is cut down to its keyframe: later frames could not be decoded without those between,
    but the keyframe alone is still a picture.
    """

    def __init__(self, *, max_bytes: int, earlier_bytes: int = 0) -> None:
        """``earlier_bytes``: how much of the whole GOPs before the last one is kept."""
        self._max_bytes = max_bytes
        self._messages: list[bytes] = []
        self._bytes = 0
        self._cut = False
        self._earlier: deque[tuple[tuple[bytes, ...], int]] = deque()
        self._earlier_bytes = 0
        self._max_earlier_bytes = earlier_bytes

    @property
    def size_bytes(self) -> int:
        """What is kept of the last GOP."""
        return self._bytes

    def add(self, message: bytes, *, keyframe: bool) -> None:
        """Takes the message of the next access unit in decoding order."""
        if keyframe:
            self._begin()
            if len(message) > self._max_bytes:
                return
        elif not self._messages or self._cut:
            return
        elif self._bytes + len(message) > self._max_bytes:
            self._cut = True
            del self._messages[1:]
            self._bytes = len(self._messages[0])
            return
        self._messages.append(message)
        self._bytes += len(message)

    def _begin(self) -> None:
        """The GOP so far becomes an earlier one, unless it has a hole."""
        if self._cut:
            self._earlier.clear()
            self._earlier_bytes = 0
        elif self._messages and self._max_earlier_bytes:
            self._earlier.append((tuple(self._messages), self._bytes))
            self._earlier_bytes += self._bytes
        while self._earlier_bytes > self._max_earlier_bytes:
            self._earlier_bytes -= self._earlier.popleft()[1]
        self._messages = []
        self._bytes = 0
        self._cut = False

    def clear(self) -> None:
        """Forgets all: the source ended, or frames are missing."""
        self._earlier.clear()
        self._earlier_bytes = 0
        self._messages = []
        self._bytes = 0
        self._cut = False

    def snapshot(self, *, earlier: bool = False) -> tuple[bytes, ...]:
        """The last GOP, keyframe first; with ``earlier`` those before it too, as one run without a hole."""
        last = tuple(self._messages)
        if not earlier or self._cut:
            return last
        return (*(message for gop, _ in self._earlier for message in gop), *last)
