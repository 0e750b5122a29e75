"""What a manifest must account for: each time without footage, and each place where the chain of seals is broken. Pure.

`verify` holds a manifest against it. `export` adds a gap of cause `unknown` for what nothing else explains, so that a
bundle which was just made always passes.
"""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Final, NamedTuple

from services.contracts.evidence.exchange import ALTERED
from services.contracts.evidence.manifest import ManifestPart
from services.contracts.models import Id
from services.contracts.recordings import MIN_GAP_US, FootageGap, GapCause

ROUNDING_US: Final = 1000
"""Times of pictures are rounded twice: to 90 kHz and to microseconds."""


class Hole(NamedTuple):
    """Something that a gap must cover. Where ``to_us`` is ``from_us`` the seals alone do not follow each other."""

    from_us: int
    to_us: int
    what: str
    recorded: bool = False
    """The seals prove that footage was recorded here: a gap that says why nothing was recorded is no answer."""


GONE: Final = (ALTERED, GapCause.EXPIRED, GapCause.DISK_FAILED, GapCause.NOT_KEPT, GapCause.UNKNOWN)
"""Causes for which footage that was recorded is not here."""
_EDGE_US: Final = 100_000
"""Where the seals prove that a segment goes on to the edge of the range, it ends at most so far from it."""


def part_name(camera: Id, from_us: int, taken: Counter[str]) -> str:
    """The name of a part in the bundle: its camera and the capture time that it begins at.

    ``taken`` counts the names so far. Raises ``ValueError`` or ``OverflowError`` for a time that no calendar has.
    """
    begin = datetime.fromtimestamp(from_us // 1_000_000, UTC)
    base = f"{camera}/{begin:%Y%m%dT%H%M%S}.{from_us % 1_000_000 // 1000:03d}Z"
    taken[base] += 1
    return f"{base}.mp4" if taken[base] == 1 else f"{base}-{taken[base]}.mp4"


def find_holes(parts: Sequence[ManifestPart], from_us: int, to_us: int) -> Iterator[Hole]:
    """What ``parts`` of one camera leave open between two moments."""
    parts = sorted(parts, key=lambda part: part.from_us)
    yield from _uncovered(parts, from_us, to_us)
    yield from _broken(parts, from_us, to_us)


def untold(holes: Iterable[Hole], gaps: Sequence[FootageGap], to_us: int) -> Iterator[Hole]:
    """The holes that no gaps cover, or the parts of them; an open gap lasts to ``to_us``."""
    every = _Told(gaps, to_us)
    gone = _Told([gap for gap in gaps if gap.cause in GONE], to_us)
    for hole in holes:
        at, touched = hole.from_us, False
        if hole.recorded and not any(gone.at(hole)):
            yield hole
            continue
        for begin, end in every.at(hole):
            touched = True
            if begin > at + ROUNDING_US:
                yield hole._replace(from_us=at, to_us=begin)
            at = max(at, end)
        if at < hole.to_us - ROUNDING_US or not touched:
            yield hole._replace(from_us=min(at, hole.to_us))


class _Told:
    """The times that gaps speak of, joined."""

    def __init__(self, gaps: Iterable[FootageGap], to_us: int) -> None:
        self._joined: list[tuple[int, int]] = []
        for begin, end in sorted((gap.from_us, to_us if gap.to_us is None else gap.to_us) for gap in gaps):
            if self._joined and begin <= self._joined[-1][1] + ROUNDING_US:
                self._joined[-1] = (self._joined[-1][0], max(self._joined[-1][1], end))
            elif begin <= end:
                self._joined.append((begin, end))
        self._starts = [begin for begin, _ in self._joined]

    def at(self, hole: Hole) -> Iterator[tuple[int, int]]:
        """Those that lie in the hole, or at it."""
        for number in range(max(bisect_right(self._starts, hole.from_us) - 1, 0), len(self._joined)):
            begin, end = self._joined[number]
            if begin > hole.to_us + ROUNDING_US:
                return
            if end >= hole.from_us - ROUNDING_US:
                yield begin, end


def with_unknown(
    parts: Sequence[ManifestPart], gaps: Iterable[FootageGap], from_us: int, to_us: int
) -> tuple[FootageGap, ...]:
    """The gaps in order, each closed, and more of cause ``unknown`` for what none of them explains."""
    closed = [
        gap if gap.to_us is not None else gap.model_copy(update={"to_us": max(to_us, gap.from_us)}) for gap in gaps
    ]
    unknown = [
        FootageGap(from_us=hole.from_us, to_us=hole.to_us, cause=GapCause.UNKNOWN, detail=hole.what)
        for hole in untold(find_holes(parts, from_us, to_us), closed, to_us)
    ]
    return tuple(sorted([*closed, *dict.fromkeys(unknown)], key=lambda gap: (gap.from_us, gap.to_us)))


def _uncovered(parts: Sequence[ManifestPart], from_us: int, to_us: int) -> Iterator[Hole]:
    at = from_us
    for part in parts:
        if min(part.from_us, to_us) - at >= MIN_GAP_US:
            yield Hole(at, min(part.from_us, to_us), "there is no footage")
        at = max(at, part.to_us)
    if to_us - at >= MIN_GAP_US:
        yield Hole(at, to_us, "there is no footage")


def _broken(parts: Sequence[ManifestPart], from_us: int, to_us: int) -> Iterator[Hole]:
    """Where a part does not follow another of its recorder, nor the one before it is followed."""
    ends = set[tuple[str, int]]()
    begins = set[tuple[str, int]]()
    seals = set[str]()
    recorders = dict[tuple[str, str], int]()
    """When the first part of each begins; what is made up is put before its first segment later."""
    for part in parts:
        said = part.statement
        recorders.setdefault((said.recorder, said.made), part.from_us)
        begins.add((said.opening, part.first))
        ends.add((said.opening, part.first + part.fragments))
        if _is_whole(part):
            # A thinned segment's own seals are new: the next one names the last of those that it was made from. One
            # that begins on another disk may name a seal before the last: that disk's thread was not done.
            seals.update(said.links)
            seals.add(said.thinned_from)
    for part in parts:
        said = part.statement
        if part.first:
            follows = (said.opening, part.first) in ends
        elif said.previous:
            follows = said.previous in seals
        else:
            follows = recorders[said.recorder, said.made] >= part.from_us
        if not follows:
            yield from _before(parts, part, from_us)
        if not _is_whole(part) and (said.opening, part.first + part.fragments) not in begins:
            yield from _behind(parts, part, to_us)


def _is_whole(part: ManifestPart) -> bool:
    """Whether it goes to the end of its segment."""
    return part.first + part.fragments == len(part.statement.links)


def _before(parts: Sequence[ManifestPart], part: ManifestPart, from_us: int) -> Iterator[Hole]:
    """A hole before ``part``, unless it begins the range or goes on where another recorder's footage ends."""
    at = from_us if part.from_us > from_us else None
    for other in parts:
        if other is part or other.from_us >= part.from_us:
            continue
        if other.statement.recorder != part.statement.recorder and other.to_us > part.from_us - MIN_GAP_US:
            return
        at = other.to_us if at is None else max(at, other.to_us)
    first = at == from_us
    near = part.from_us - from_us < (_EDGE_US if part.first else MIN_GAP_US)
    if at is not None and not (first and near):
        mine = (other for other in parts if other.statement.recorder == part.statement.recorder)
        # Without anything of this recorder before it, the seal may be of footage before the range.
        recorded = part.first > 0 or any(other.from_us < part.from_us for other in mine if other is not part)
        what = "the seal before this footage is not here"
        yield Hole(min(at, part.from_us), part.from_us, what, recorded and bool(part.first or part.statement.previous))


def _behind(parts: Sequence[ManifestPart], part: ManifestPart, to_us: int) -> Iterator[Hole]:
    """The same behind ``part``."""
    if part.to_us > to_us - _EDGE_US:
        return
    at = to_us
    for other in parts:
        if other is part or other.to_us <= part.to_us:
            continue
        if other.statement.recorder != part.statement.recorder and other.from_us < part.to_us + MIN_GAP_US:
            return
        at = min(at, other.from_us)
    yield Hole(part.to_us, max(at, part.to_us), "the rest of this segment is not here", recorded=True)


def find_repeated(parts: Sequence[ManifestPart]) -> Iterator[ManifestPart]:
    """The parts that hold a fragment which an earlier one holds too, or another version of a segment."""
    seen: dict[str, list[tuple[int, int]]] = defaultdict(list)
    openings: dict[tuple[Id, str], str] = {}
    for part in parts:
        said = part.statement
        runs = seen[said.opening]
        first, end = part.first, part.first + part.fragments
        other = openings.setdefault((said.recorder, said.path), said.opening) != said.opening
        if other or any(first < to and end > begin for begin, to in runs):
            yield part
        runs.append((first, end))


def find_disorder(parts: Sequence[ManifestPart]) -> Iterator[ManifestPart]:
    """The parts that begin before the one ahead of them, although both are of one recorder."""
    for before, after in pairwise(parts):
        if after.from_us < before.from_us and after.statement.recorder == before.statement.recorder:
            yield after
