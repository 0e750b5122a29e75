"""The recorders' answers about footage, and merging several of them into one history."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from typing import Final, Literal

from pydantic import Field

from services.contracts.models import Id, Model, Reason

SERVICE: Final = "recorder"
"""The recorders' service name: broadcast questions are ``rpc(home, SERVICE, endpoint)``, one's own
``rpc(home, f"{SERVICE}.{worker}", endpoint)``."""
TIMELINE: Final = "timeline"
HISTORY: Final = "history"

MIN_GAP_US: Final = 1_000_000
"""A shorter hole in the footage is not reported."""
MAX_DAMAGE: Final = 2000
"""Stretches of damage in an answer: a camera that loses a packet every other second has 43,000 a day."""
TierName = Literal["full", "keyframes"]


class GapCause(StrEnum):
    """Why there is no footage, beyond the codes of `services.contracts.models.Reason` for what a camera did.

    Stable: the interface translates them.
    """

    BUS_LOST = "bus-lost"
    RECORDER_DOWN = "recorder-down"
    NOT_ASSIGNED = "not-assigned"
    DISK_SLOW = "disk-slow"
    DISK_FULL = "disk-full"
    DISK_FAILED = "disk-failed"
    CLOCK_JUMP = "clock-jump"
    WORKER_LOST = "worker-lost"
    """The ingest worker died, and what it had in memory alone went with it."""
    LEASE_LOST = "lease-lost"
    """The ingest worker had no lease: another had the camera, or was to get it."""
    BUS_FROZEN = "bus-frozen"
    """nats-server was there and did not answer."""
    RECORDER_LOST = "recorder-lost"
    """Another recorder was to have it, and has not come back."""
    SPOOL_FULL = "spool-full"
    """Ingest kept it until its bound was reached, and nobody had fetched it by then."""
    EXPIRED = "expired"
    NOT_KEPT = "not-kept"
    """Before the oldest footage that there is: never recorded, or expired."""
    UNKNOWN = "unknown"


LostBy = Literal["mesh", "camera", "nobody"]
_OF_THE_MESH: Final = frozenset(
    (
        *GapCause, Reason.NONE, Reason.STARTING, Reason.FRAMES_LOST, Reason.OVERLOADED, Reason.READER_FAILED,
        Reason.NO_INGEST, Reason.UNASSIGNED,
    )
)  # fmt: skip
_OF_NOBODY: Final = frozenset((GapCause.EXPIRED, GapCause.NOT_KEPT, Reason.DISABLED))


def lost_by(cause: str) -> LostBy:
    """Who lost the footage of a gap with this cause. What nobody knows is the mesh's; what was not to be recorded, or
    was kept as long as it should be, is nobody's; every other `Reason` is the camera's, or of the way to it."""
    if cause in _OF_NOBODY:
        return "nobody"
    return "mesh" if cause in _OF_THE_MESH else "camera"


class FootageRange(Model):
    """Footage without a hole."""

    from_us: int
    to_us: int
    tier: TierName = "full"
    recorder: Id
    archived: bool = False
    """Only the archive has it; the recorder reads it from there, so it begins later."""


class FootageDamage(Model):
    """A stretch of recorded footage in which pictures are marked as damaged: something of them was lost on the way from
    the camera, or of pictures that they refer to."""

    from_us: int
    to_us: int
    damaged_us: int
    """How long the damaged pictures in it last. Stretches less than a second apart, or a 2000th of what was asked for,
    are told as one."""


class FootageGap(Model):
    """A time without footage, with its cause. A gap of no length is a remark, such as a clock that was set back."""

    from_us: int
    to_us: int | None
    """None: the gap is still open."""
    cause: str
    """A `GapCause` or a code of `Reason`."""
    detail: str = ""


class TimelineQuestion(Model):
    """Asks for the footage of a camera between two moments."""

    camera: Id
    site: Id | None = None
    """Whose camera; None: of the one that has this id now, of a removed one of all that had it."""
    profile: str = "main"
    from_us: int
    to_us: int = Field(description="At most 366 days after from_us.")


class TimelineAnswer(Model):
    """The footage at one recorder; empty where it never recorded the camera."""

    recorder: Id
    ranges: tuple[FootageRange, ...] = ()
    gaps: tuple[FootageGap, ...] = ()
    damage: tuple[FootageDamage, ...] = ()


class HistoryQuestion(Model):
    """Asks of which cameras there is footage, in the catalogue or not."""

    camera: Id | None = None
    """None: all."""


class CameraHistory(Model):
    """The footage of one camera of one site: two sites may have used the same id, one after the other."""

    camera: Id
    site: Id
    from_us: int
    to_us: int
    size_bytes: int
    """On disks; footage that only the archive has is not counted."""


class HistoryAnswer(Model):
    """One recorder's footage, camera by camera."""

    recorder: Id
    histories: tuple[CameraHistory, ...]


def merge_histories(answers: Iterable[HistoryAnswer]) -> list[CameraHistory]:
    """One history of each camera and site, in order."""
    found: dict[tuple[Id, Id], CameraHistory] = {}
    for item in (history for answer in answers for history in answer.histories):
        before = found.get((item.camera, item.site), item.model_copy(update={"size_bytes": 0}))
        found[item.camera, item.site] = item.model_copy(
            update={
                "from_us": min(item.from_us, before.from_us),
                "to_us": max(item.to_us, before.to_us),
                "size_bytes": item.size_bytes + before.size_bytes,
            }
        )
    return [found[key] for key in sorted(found)]


class FootageTimeline(Model):
    """One history, merged from all recorders."""

    camera: Id
    profile: str
    from_us: int
    to_us: int
    ranges: tuple[FootageRange, ...]
    """In order, without overlap; of two recorders' footage the fuller tier is named, then the longer range."""
    gaps: tuple[FootageGap, ...]
    """Where no recorder has footage; the cause is that of the recorder whose gap covers most of it."""
    damage: tuple[FootageDamage, ...] = ()
    """Of the footage that ``ranges`` name, in order."""
    recorders: int
    """How many recorders answered."""


class Lasting(Model):
    """How far a camera's footage reaches back, and how long it will be kept."""

    oldest_full_us: int | None = None
    oldest_thinned_us: int | None = None
    oldest_archived_full_us: int | None = None
    """Of copies in the archive, whether the disks still have the footage or not."""
    oldest_archived_thinned_us: int | None = None
    bytes_per_day: int = Field(default=0, description="What a day of whole footage takes.")
    forecast_full_days: float | None = Field(
        default=None, description="Days of whole footage that the present disks and bitrates give."
    )
    forecast_keyframe_days: float | None = Field(
        default=None, description="Days of footage that the disks give, thinned footage included."
    )
    forecast_archive_days: float | None = Field(
        default=None, description="Days that copies in the archive are kept; null: not all footage is copied there."
    )


def merge_timelines(question: TimelineQuestion, answers: Sequence[TimelineAnswer]) -> FootageTimeline:
    """One history: where one recorder has a gap and another footage, there is footage."""
    ranges = merge_ranges([item for answer in answers for item in answer.ranges], question.from_us, question.to_us)
    gaps = [item for answer in answers for item in answer.gaps]
    return FootageTimeline(
        camera=question.camera,
        profile=question.profile,
        from_us=question.from_us,
        to_us=question.to_us,
        ranges=tuple(ranges),
        gaps=tuple(_merge_gaps(gaps, ranges, question.from_us, question.to_us)),
        damage=tuple(_merge_damage(answers, ranges)),
        recorders=len(answers),
    )


def joined_damage(spans: Iterable[tuple[int, int]], *, asked_us: int) -> list[FootageDamage]:
    """Stretches of damaged pictures, those close together as one: at most `MAX_DAMAGE` in a range of ``asked_us``."""
    apart_us = max(MIN_GAP_US, asked_us // MAX_DAMAGE)
    found: list[FootageDamage] = []
    for from_us, to_us in sorted(spans):
        last = found[-1] if found else None
        if last and from_us - last.to_us < apart_us:
            found[-1] = FootageDamage(
                from_us=last.from_us,
                to_us=max(last.to_us, to_us),
                damaged_us=last.damaged_us + max(0, to_us - max(from_us, last.to_us)),
            )
        else:
            found.append(FootageDamage(from_us=from_us, to_us=to_us, damaged_us=to_us - from_us))
    return found


def _merge_damage(answers: Sequence[TimelineAnswer], ranges: Sequence[FootageRange]) -> Iterator[FootageDamage]:
    """Each recorder's, where it is its footage that is shown."""
    starts = [item.from_us for item in ranges]
    found = []
    for answer in answers:
        for damage in answer.damage:
            for index in range(max(bisect_right(starts, damage.from_us) - 1, 0), len(ranges)):
                item = ranges[index]
                if item.from_us >= damage.to_us:
                    break
                from_us, to_us = max(damage.from_us, item.from_us), min(damage.to_us, item.to_us)
                if item.recorder == answer.recorder and from_us < to_us:
                    share = (to_us - from_us) / (damage.to_us - damage.from_us)
                    found.append(
                        FootageDamage(from_us=from_us, to_us=to_us, damaged_us=round(damage.damaged_us * share))
                    )
    yield from sorted(found, key=lambda damage: damage.from_us)


def merge_ranges(ranges: Iterable[FootageRange], from_us: int, to_us: int) -> list[FootageRange]:
    """Cuts overlapping ranges so that each moment is covered once, by the best range."""
    taken: list[FootageRange] = []
    starts: list[int] = []
    """Of ``taken``, which is in order and without overlap."""
    for item in sorted(ranges, key=_worth):
        pieces = _free(taken, starts, max(item.from_us, from_us), min(item.to_us, to_us))
        # A sliver beside another recorder's footage is the two clocks' difference, not footage.
        alone = pieces == [(item.from_us, item.to_us)]
        for start, end in pieces:
            if alone or end - start >= MIN_GAP_US:
                at = bisect_right(starts, start)
                taken.insert(at, item.model_copy(update={"from_us": start, "to_us": end}))
                starts.insert(at, start)
    return taken


def _free(taken: Sequence[FootageRange], starts: Sequence[int], from_us: int, to_us: int) -> list[tuple[int, int]]:
    """The times between two moments that ``taken`` does not cover."""
    found: list[tuple[int, int]] = []
    for index in range(max(bisect_right(starts, from_us) - 1, 0), len(taken)):
        other = taken[index]
        if other.from_us >= to_us:
            break
        if other.from_us > from_us:
            found.append((from_us, other.from_us))
        from_us = max(from_us, other.to_us)
    if from_us < to_us:
        found.append((from_us, to_us))
    return found


def _worth(item: FootageRange) -> tuple[bool, bool, int, str]:
    return item.tier != "full", item.archived, item.from_us - item.to_us, item.recorder


def _merge_gaps(
    gaps: Sequence[FootageGap], ranges: Sequence[FootageRange], from_us: int, to_us: int
) -> list[FootageGap]:
    merged: list[FootageGap] = []
    gaps = [_ended(gap, ranges) for gap in gaps]
    for start, end in _holes(ranges, from_us, to_us):
        inside = [(_overlap(gap, start, end), gap) for gap in gaps]
        inside = [(shared, gap) for shared, gap in inside if shared > 0]
        if not inside:
            continue
        # A hole may have several reasons one after another: each recorder's own gaps, the fullest account first.
        merged += _cover(start, end, [gap for _, gap in sorted(inside, key=lambda pair: -pair[0])])
    remarks = {(gap.from_us, gap.cause): gap for gap in gaps if gap.to_us == gap.from_us}
    small = {(gap.from_us, gap.cause): gap for gap in gaps if is_within(gap, ranges)}
    merged += [gap for key, gap in (remarks | small).items() if from_us <= key[0] < to_us]
    return sorted(merged, key=lambda gap: gap.from_us)


def _ended(gap: FootageGap, ranges: Sequence[FootageRange]) -> FootageGap:
    """A gap that nobody ended ends where there is footage again."""
    ends = (item.from_us for item in ranges if item.from_us > gap.from_us) if gap.to_us is None else iter(())
    to_us = next(ends, None)
    return gap if to_us is None else gap.model_copy(update={"to_us": to_us})


def is_within(gap: FootageGap, ranges: Sequence[FootageRange]) -> bool:
    """Whether it tells of frames lost within footage: it is short, and a range goes on over it."""
    if gap.to_us is None or not 0 < gap.to_us - gap.from_us < MIN_GAP_US:
        return False
    return any(item.from_us <= gap.from_us and gap.to_us <= item.to_us for item in ranges)


def _cover(start: int, end: int, gaps: Sequence[FootageGap]) -> list[FootageGap]:
    free = [(start, end)]
    found: list[FootageGap] = []
    for gap in gaps:
        rest: list[tuple[int, int]] = []
        for a, b in free:
            gap_end = b if gap.to_us is None else gap.to_us
            x, y = max(a, gap.from_us), min(b, gap_end)
            if x >= y:
                rest.append((a, b))
                continue
            open_end = gap.to_us is None and y == end
            found.append(gap.model_copy(update={"from_us": x, "to_us": None if open_end else y}))
            rest += [part for part in ((a, x), (y, b)) if part[1] > part[0]]
        free = rest
    found += [FootageGap(from_us=a, to_us=b, cause=GapCause.UNKNOWN) for a, b in free if b - a >= MIN_GAP_US]
    return found


def _holes(ranges: Sequence[FootageRange], from_us: int, to_us: int) -> list[tuple[int, int]]:
    holes = []
    at = from_us
    for item in ranges:
        if item.from_us - at >= MIN_GAP_US:
            holes.append((at, item.from_us))
        at = max(at, item.to_us)
    if to_us - at >= MIN_GAP_US:
        holes.append((at, to_us))
    return holes


def _overlap(gap: FootageGap, start: int, end: int) -> int:
    return min(end, end if gap.to_us is None else gap.to_us) - max(start, gap.from_us)
