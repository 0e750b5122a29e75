"""When a source is opened again, with which reader, and whether with its sound. Pure: ends in, decisions out.

| an attempt | is followed by |
|---|---|
| delivered for `DELIVERED_SECONDS` or longer, and ended | another at once |
| was refused for its credentials | another after 22 to 30 s, then later and later, up to 5 min |
| failed in any other way | another after a pause that doubles from the least to the most of the settings |
| was direct by ``auto``, and the reader is unsuited | one with libav at once, and libav from then on (`fallbacks`) |
| failed with the sound, in a way that the sound may cause | one without it, and one with it after that fails |
| opened without the sound | another with it after `SOUND_AGAIN_SECONDS`, later where it fails again |
"""

import random
from typing import Final, Literal

from services.contracts.models import ReaderName, Reason
from services.ingest.readers.source import ReaderEnd, Source
from services.mesh.backoff import Backoff

DELIVERED_SECONDS: Final = 3.0
AT_ONCE_SECONDS: Final = 0.1
"""Sources that ended together are not opened again together."""
CREDENTIALS_SECONDS: Final = (30.0, 300.0)
"""Cameras lock accounts after some wrong passwords; the first 30 s are kept for the first two pauses."""
SOUND_AGAIN_SECONDS: Final = (15.0, 900.0)
CREDENTIALS: Final = frozenset((Reason.UNAUTHORIZED, Reason.UNSUPPORTED_AUTH))
SOUND_MAY_BE_WHY: Final = frozenset(
    (Reason.BAD_STREAM, Reason.BAD_ANSWER, Reason.REJECTED, Reason.NOT_FOUND, Reason.UNSUPPORTED_TRANSPORT)
)

ReaderKind = Literal["direct", "libav"]


def _late(low: float, high: float) -> float:
    """Drawn from the later half of a back-off's range: so many attempts a minute are promised."""
    return random.uniform((low + high) / 2, high)


class Pauses:
    """How long to wait before the next attempt."""

    def __init__(self, least_seconds: float, most_seconds: float) -> None:
        self._others = Backoff(least_seconds, most_seconds, uniform=_late)
        self._credentials = Backoff(*CREDENTIALS_SECONDS, uniform=_late)

    def after(self, reason: Reason, delivered_seconds: float) -> float:
        """The pause after an attempt that delivered for so long and ended for ``reason``."""
        if delivered_seconds >= DELIVERED_SECONDS:
            self._others.reset()
            self._credentials.reset()
            return random.uniform(0, AT_ONCE_SECONDS)
        return (self._credentials if reason in CREDENTIALS else self._others).next_seconds()


class ReaderChoice:
    """Which reader opens a source."""

    def __init__(
        self, wanted: ReaderName, source: Source, available: frozenset[ReaderKind], *, learned: str = ""
    ) -> None:
        """``available`` are the readers that there are; libav always is.

        ``learned``: why the direct reader cannot read the source, as ``auto`` has found out before.
        """
        self._wanted = wanted
        self.kind: ReaderKind = "libav"
        """What opens it next."""
        self.detail = ""
        """Why that is not the direct reader, where ``auto`` or a person wanted it."""
        if wanted == "libav" or (wanted == "auto" and not source.is_rtsp):
            return
        if not source.is_rtsp:
            self.detail = "the direct reader speaks RTSP and RTSPS alone"
        elif wanted == "auto" and learned:
            self.detail = learned
        elif "direct" in available:
            self.kind = "direct"
        else:
            self.detail = "there is no direct reader here"

    def ended(self, end: ReaderEnd) -> bool:
        """Takes an attempt's end; returns whether the next is made at once, with the other reader."""
        if not end.unsuited or self.kind == "libav" or self._wanted != "auto":
            return False
        self.kind, self.detail = "libav", end.detail
        return True


class SoundChoice:
    """Whether a source is opened with its sound. Times are `Clock.monotonic`'s."""

    def __init__(self, *, wanted: bool) -> None:
        self.with_sound = wanted
        """Whether the next attempt is made with it."""
        self.trouble = ""
        """Why it is opened without, where the sound was wanted."""
        self._wanted = wanted
        self._again = Backoff(*SOUND_AGAIN_SECONDS, uniform=lambda _low, high: high)
        self._again_at = float("inf")

    def failed_to_open(self, end: ReaderEnd) -> None:
        """An attempt ended before the source was open."""
        if not self._wanted or end.reason not in SOUND_MAY_BE_WHY:
            return
        if self.with_sound:
            self.trouble = end.detail
        self.with_sound = not self.with_sound

    def opened(self, now: float) -> None:
        """The source is open."""
        if self.with_sound:
            self._again.reset()
            self.trouble = ""
            self._again_at = float("inf")
        elif self._wanted:
            self._again_at = now + self._again.next_seconds()

    def due(self, now: float) -> bool:
        """Whether it is time to open the source again, with its sound; True once."""
        if now < self._again_at:
            return False
        self._again_at = float("inf")
        self.with_sound = True
        return True
