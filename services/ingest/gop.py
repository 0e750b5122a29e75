"""The last GOP of a profile: what a viewer is shown before the next keyframe."""

from collections.abc import Sequence


class GopCache:
    """The messages of the access units since the last keyframe, bounded in bytes.

    A GOP that outgrows the bound is cut down to its keyframe: later frames could not be decoded without those between,
    but the keyframe alone is still a picture.
    """

    def __init__(self, *, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._messages: list[bytes] = []
        self._bytes = 0
        self._cut = False

    @property
    def size_bytes(self) -> int:
        """What is kept of it."""
        return self._bytes

    def add(self, message: bytes, *, keyframe: bool) -> None:
        """Takes the message of the next access unit in decoding order."""
        if keyframe:
            self.clear()
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

    def add_run(self, messages: list[bytes], keyframes: Sequence[int]) -> None:
        """As `add`, of access units that follow each other."""
        if 1 in keyframes:
            last = len(keyframes) - 1 - keyframes[::-1].index(1)
            self.add(messages[last], keyframe=True)
            messages = messages[last + 1 :]
        size_bytes = sum(map(len, messages))
        if self._messages and not self._cut and self._bytes + size_bytes <= self._max_bytes:
            self._messages += messages
            self._bytes += size_bytes
            return
        for message in messages:
            self.add(message, keyframe=False)

    def clear(self) -> None:
        """Forgets all: the source ended, or frames are missing."""
        self._messages = []
        self._bytes = 0
        self._cut = False

    def snapshot(self) -> tuple[bytes, ...]:
        """The GOP, keyframe first."""
        return tuple(self._messages)
