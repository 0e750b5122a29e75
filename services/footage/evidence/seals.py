"""The last seals that an agency received, as ``recording.segment_closed`` events, and what they say of a bundle."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

from pydantic import ValidationError

from services.contracts.errors import InvalidInputError
from services.contracts.events import SegmentClosed
from services.contracts.evidence.manifest import CameraEvidence, Manifest, ManifestPart
from services.contracts.models import Id
from services.contracts.recordings import MIN_GAP_US
from services.footage.evidence.account import GONE

_MAX_LINE_BYTES: Final = 1024 * 1024
_MAX_BYTES: Final = 64 * 1024 * 1024
"""Of a file that is one JSON array."""
_TYPE: Final = f"{SegmentClosed.kind}.{SegmentClosed.name}"


class ReceivedSeals:
    """Events by site, camera and recorder: two owners may have cameras and recorders of one name."""

    def __init__(self, events: Iterable[SegmentClosed]) -> None:
        self._events: dict[tuple[Id, Id, str], list[SegmentClosed]] = defaultdict(list)
        for event in events:
            if event.chain_hash:
                self._events[event.site, event.camera, event.recorder].append(event)

    @classmethod
    def read(cls, path: Path) -> "ReceivedSeals":
        """From a file of JSON lines, or of server-sent events as ``/api/v1/events`` gives them.

        Each is an event, or a CloudEvent with the event as its ``data``; other events are passed over. Raises
        `InvalidInputError` where the file holds no ``segment_closed`` at all, ``OSError``.
        """
        with path.open("rb") as file:
            made = cls(_read(file))
        if not made._events:
            raise InvalidInputError(f"{path} holds no {_TYPE} event")
        return made

    def findings(self, manifest: Manifest) -> Iterator[tuple[str, str]]:
        """Where the bundle differs from what was received, and how."""
        for camera in manifest.cameras:
            for part in camera.parts:
                if what := self._differs(part):
                    yield part.file, what
            yield from self._left_out(camera, manifest)

    def unvouched(self, manifest: Manifest) -> int:
        """How many parts no event speaks of: the agency did not listen then, or the segment was still growing."""
        return sum(self._event_of(part) is None for camera in manifest.cameras for part in camera.parts)

    def thinned(self, manifest: Manifest) -> int:
        """How many parts an event vouches for only as what they were thinned from."""
        found = (self._event_of(part) for camera in manifest.cameras for part in camera.parts)
        parts = (part for camera in manifest.cameras for part in camera.parts)
        return sum(
            event is not None and event.chain_hash != part.statement.last_link
            for event, part in zip(found, parts, strict=True)
        )

    def said_gone(self, manifest: Manifest) -> int:
        """How many segments were announced of which nothing is here, because a gap says that they are gone."""
        return sum(1 for camera in manifest.cameras for _ in self._absent(camera, manifest))

    def _of(self, part: ManifestPart) -> list[SegmentClosed]:
        return self._events.get((part.statement.site, part.statement.camera, part.statement.recorder), [])

    def _event_of(self, part: ManifestPart) -> SegmentClosed | None:
        said = part.statement
        seals = {said.last_link, said.thinned_from}
        return next((event for event in self._of(part) if event.chain_hash in seals), None)

    def _differs(self, part: ManifestPart) -> str | None:
        said = part.statement
        event = self._event_of(part)
        if event is not None:
            if event.chain_hash == said.last_link and event.signature and event.signature != part.signature:
                return "the recorder signed it otherwise when it was recorded"
            return None
        events = self._of(part)
        if said.growing or not events:
            return None
        received = min(event.from_us for event in events), max(event.to_us for event in events)
        if any(event.path == said.path for event in events):
            return "its last seal is not the one that was received when it was recorded"
        if said.start_us < received[1] and said.end_us > received[0]:
            return "nothing was received of this segment when it was recorded"
        return None

    def _left_out(self, camera: CameraEvidence, manifest: Manifest) -> Iterator[tuple[str, str]]:
        """Segments that were recorded in the range, of which nothing is here, and no gap says that they are gone."""
        times = [(part.from_us, part.to_us) for part in camera.parts]
        gone = (gap for gap in camera.gaps if gap.cause in GONE)
        times += [(gap.from_us, manifest.to_us if gap.to_us is None else gap.to_us) for gap in gone]
        for event in self._absent(camera, manifest):
            begin, end = max(event.from_us, manifest.from_us), min(event.to_us, manifest.to_us)
            if _uncovered_us(begin, end, sorted(times)) >= MIN_GAP_US:
                yield camera.camera, f"{event.path} was recorded, and is left out"

    def _absent(self, camera: CameraEvidence, manifest: Manifest) -> Iterator[SegmentClosed]:
        """Announced segments with footage of the range of which nothing is here, and no other recorder's footage."""
        paths = {(part.statement.recorder, part.statement.path) for part in camera.parts}
        times = sorted((part.from_us, part.to_us) for part in camera.parts)
        for (site, name, recorder), events in self._events.items():
            for event in events if (site, name) == (camera.site, camera.camera) else ():
                begin, end = max(event.from_us, manifest.from_us), min(event.to_us, manifest.to_us)
                if end - begin < MIN_GAP_US or (recorder, event.path) in paths:
                    continue
                if _uncovered_us(begin, end, times) >= MIN_GAP_US:
                    yield event


def _uncovered_us(begin: int, end: int, times: list[tuple[int, int]]) -> int:
    missing, at = 0, begin
    for other_begin, other_end in times:
        missing += max(min(other_begin, end) - at, 0)
        at = max(at, other_end)
    return missing + max(end - at, 0)


def _read(file: BinaryIO) -> Iterator[SegmentClosed]:
    if file.read(1) == b"[":
        file.seek(0)
        for item in _parsed(file.read(_MAX_BYTES)):
            yield from _event(item)
        return
    file.seek(0)
    while line := file.readline(_MAX_LINE_BYTES):
        for item in _parsed(b"[" + line.strip().removeprefix(b"data:") + b"]"):
            yield from _event(item)


def _parsed(text: bytes) -> list[object]:
    """The items of a JSON array; none where the text is something else, such as a field of server-sent events."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return []
    return found if isinstance(found, list) else []


def _event(item: object) -> Iterator[SegmentClosed]:
    if not isinstance(item, dict) or not str(item.get("type", _TYPE)).endswith(_TYPE):
        return
    try:
        yield SegmentClosed.model_validate(item.get("data", item))
    except ValidationError:
        return
