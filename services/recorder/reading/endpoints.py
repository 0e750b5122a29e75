"""The questions that a recorder answers on the bus."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import islice
from typing import Any, Final, TypeVar

from services.contracts import activity, recordings, subjects
from services.contracts.activity import (
    ActivityAnswer,
    ActivityQuestion,
    BusiestMinutesQuestion,
    BusyAnswer,
    NextActivityQuestion,
)
from services.contracts.audit_digest import AUDIT_SIGN, AuditDigest, DigestSigned, DigestToSign
from services.contracts.clips import CLIP, ClipOpened, ClipQuestion
from services.contracts.coverage import COVERAGE, CoverageAnswer, CoverageQuestion
from services.contracts.coverage import MAX_RANGE_US as MAX_COVERAGE_US
from services.contracts.errors import InvalidInputError, UnavailableError
from services.contracts.evidence.exchange import (
    EVIDENCE,
    EVIDENCE_SIGN,
    EvidenceOpened,
    EvidenceQuestion,
    ManifestSigned,
    ManifestToSign,
)
from services.contracts.models import Id
from services.contracts.permissions import FOOTAGE, Actor, Right, Role
from services.contracts.playback import PLAYBACK, PlaybackOpened, PlaybackQuestion
from services.contracts.recordings import HistoryAnswer, HistoryQuestion, TimelineAnswer, TimelineQuestion
from services.contracts.sites import AskedAcross, control_of
from services.mesh import rpc, transfer
from services.mesh.lifecycle import Service
from services.recorder.reading import evidence, playback
from services.recorder.reading.activity_search import ActivitySearch
from services.recorder.reading.clip import payloads
from services.recorder.reading.coverage import Coverage
from services.recorder.reading.footage import RecordedFootage, SegmentSource
from services.recorder.storage.proof import Signer

FRAMES_AT_ONCE: Final = 32
"""Of playback, read in one go."""
TRANSFERS_TO_HUB: Final = 256
"""At once: four operators there with 64 tiles each. Another owner's demand must not take a recorder from its own."""
MAX_RANGE_US: Final = 366 * 86_400 * 1_000_000
T = TypeVar("T")
Q = TypeVar("Q", ClipQuestion, PlaybackQuestion)


class Endpoints:
    """`serve` answers until the returned services are stopped."""

    def __init__(
        self,
        service: Service,
        name: Id,
        signer: Signer | None,
        *,
        keys: Callable[[], frozenset[str]] = frozenset,
        footage: RecordedFootage,
        coverage: Coverage,
        search: ActivitySearch,
    ) -> None:
        """``name`` is the recorder's; ``keys`` gives the public keys that it ever had."""
        self._keys = keys
        self._service = service
        self._name = name
        self._signer = signer
        self._footage = footage
        self._coverage = coverage
        self._search = search
        self._to_hub = 0
        """Transfers that run."""

    async def serve(self) -> list[rpc.RpcService]:
        """Registers the broadcast questions and this recorder's own."""
        broadcast: list[rpc.Endpoint[Any]] = [
            rpc.Endpoint(recordings.TIMELINE, TimelineQuestion, self._timeline, FOOTAGE, broadcast=True),
            rpc.Endpoint(recordings.HISTORY, HistoryQuestion, self._history, Role.OPERATOR, broadcast=True),
            rpc.Endpoint(COVERAGE, CoverageQuestion, self._cover, Role.OPERATOR, broadcast=True),
            rpc.Endpoint(activity.ACTIVITY, ActivityQuestion, self._activity, FOOTAGE, broadcast=True),
            rpc.Endpoint(activity.NEXT_ACTIVITY, NextActivityQuestion, self._next, FOOTAGE, broadcast=True),
            rpc.Endpoint(activity.BUSIEST_MINUTES, BusiestMinutesQuestion, self._busiest, FOOTAGE, broadcast=True),
        ]
        own: list[rpc.Endpoint[Any]] = [
            rpc.Endpoint(CLIP, ClipQuestion, self._clip, (Right.CLIP, Right.EVIDENCE)),
            rpc.Endpoint(PLAYBACK, PlaybackQuestion, self._playback, Right.PLAYBACK),
            rpc.Endpoint(EVIDENCE, EvidenceQuestion, self._evidence, Right.EVIDENCE),
            rpc.Endpoint(EVIDENCE_SIGN, ManifestToSign, self._sign, Right.EVIDENCE),
            rpc.Endpoint(AUDIT_SIGN, DigestToSign, self._sign_audit, Role.ADMIN),
            rpc.Endpoint(
                "footage-clip", ClipQuestion, self._clip, Right.CLIP, subject=self._across(CLIP), fit=self._fit
            ),
            rpc.Endpoint(
                "footage-playback", PlaybackQuestion, self._playback, Right.PLAYBACK,
                subject=self._across(PLAYBACK), fit=self._fit,
            ),
        ]  # fmt: skip
        bus, tasks, home = self._service.bus, self._service.tasks, self._service.home
        return [
            await rpc.serve(bus, tasks, home=home, service=recordings.SERVICE, endpoints=broadcast),
            await rpc.serve(bus, tasks, home=home, service=recordings.SERVICE, endpoints=own, worker=self._name),
        ]

    def _across(self, endpoint: str) -> str:
        """Where a hub asks this recorder (`services.contracts.sites`)."""
        return subjects.footage_question(self._service.home, "*", "*", self._name, endpoint)

    def _fit(self, question: Q, actor: Actor, subject: str) -> tuple[Q, Actor]:
        """A hub's question: about this mesh's own camera that the subject names, not the one of its body."""
        home, asked = self._service.home, AskedAcross.of(subject)
        fitted = {"camera": asked.camera, "site": home, "deliver_to": asked.data(home, question.deliver_to)}
        return question.model_copy(update=fitted), asked.actor(actor)

    async def _timeline(self, question: TimelineQuestion, _actor: Actor) -> TimelineAnswer:
        _check(question.from_us, question.to_us)
        return await asyncio.to_thread(
            self._footage.timeline,
            question.camera,
            question.profile,
            question.from_us,
            question.to_us,
            site=question.site,
        )

    async def _history(self, question: HistoryQuestion, _actor: Actor) -> HistoryAnswer:
        found = await asyncio.to_thread(self._footage.histories, question.camera)
        return HistoryAnswer(recorder=self._name, histories=tuple(found))

    async def _activity(self, question: ActivityQuestion, _actor: Actor) -> ActivityAnswer:
        _check(question.from_us, question.to_us)
        return await asyncio.to_thread(self._search.activity, question)

    async def _next(self, question: NextActivityQuestion, _actor: Actor) -> BusyAnswer:
        return await asyncio.to_thread(self._search.next_activity, question)

    async def _busiest(self, question: BusiestMinutesQuestion, _actor: Actor) -> BusyAnswer:
        if not 0 < question.to_us - question.from_us <= activity.MAX_SEARCH_US:
            raise InvalidInputError("a range ends after it begins, and is at most 31 days long here")
        return await asyncio.to_thread(self._search.busiest_minutes, question)

    async def _cover(self, question: CoverageQuestion, _actor: Actor) -> CoverageAnswer:
        if not 0 < question.to_us - question.from_us <= MAX_COVERAGE_US:
            raise InvalidInputError("a range ends after it begins, and is at most 31 days long here")
        return await asyncio.to_thread(self._coverage.answer, question)

    async def _clip(self, question: ClipQuestion, _actor: Actor) -> ClipOpened:
        sources = await self._sources(question)
        messages = payloads(sources, question.from_us, question.to_us)
        control = await self._send(question, messages, "clip")
        return ClipOpened(control=control)

    async def _playback(self, question: PlaybackQuestion, _actor: Actor) -> PlaybackOpened:
        sources = await self._sources(question)
        messages = playback.messages(sources, question.from_us, question.to_us, question.mode)
        control = await self._send(question, messages, "playback", at_once=FRAMES_AT_ONCE)
        return PlaybackOpened(control=control)

    async def _evidence(self, question: EvidenceQuestion, _actor: Actor) -> EvidenceOpened:
        sources = await self._sources(question)
        messages = evidence.messages(sources, question.from_us, question.to_us, self._signer, self._keys())
        control = await self._send(question, messages, "evidence")
        return EvidenceOpened(control=control, public=self._signer.public if self._signer else "")

    async def _sources(self, question: ClipQuestion | PlaybackQuestion | EvidenceQuestion) -> list[SegmentSource]:
        """The footage that a question is about."""
        _check(question.from_us, question.to_us)
        return await asyncio.to_thread(
            self._footage.sources,
            question.camera,
            question.profile,
            question.from_us,
            question.to_us,
            site=question.site,
        )

    async def _send(
        self,
        question: ClipQuestion | PlaybackQuestion | EvidenceQuestion,
        messages: Iterator[bytes],
        what: str,
        *,
        at_once: int = 1,
    ) -> str:
        """Begins the transfer that answers a question; returns its control subject."""
        payloads, control = in_thread(messages, at_once), control_of(question.deliver_to)
        to_hub = 1 if control else 0
        if to_hub and self._to_hub >= TRANSFERS_TO_HUB:
            raise UnavailableError(f"{self._name} sends as much to the hub as it may; try again")
        self._to_hub += to_hub

        def over() -> None:
            self._to_hub -= to_hub

        subject = await transfer.send(
            self._service.bus,
            self._service.tasks,
            question.deliver_to,
            payloads,
            name=f"{what} {question.camera}",
            control=control,
            when_over=over,
        )
        self._to_hub += to_hub
        return subject

    async def _sign(self, question: ManifestToSign, actor: Actor) -> ManifestSigned:
        made = await asyncio.to_thread(
            lambda: evidence.sign_manifest(question.unpacked(), self._signer, actor, self._service.clock.now_us())
        )
        return ManifestSigned(public=made.public, signature=made.signature)

    async def _sign_audit(self, question: DigestToSign, _actor: Actor) -> DigestSigned:
        if self._signer is None:
            raise UnavailableError(f"the recorder {self._name} has no key to sign with")
        made = self._signer.sign(AuditDigest(**question.model_dump()).to_bytes())
        return DigestSigned(key=made.public, signature=made.signature)


def _check(from_us: int, to_us: int) -> None:
    if not 0 < to_us - from_us <= MAX_RANGE_US:
        raise InvalidInputError("a range ends after it begins, and is at most 366 days long")


async def in_thread(items: Iterator[T], at_once: int = 1) -> AsyncIterator[T]:
    """A blocking iterator's items, fetched in a thread: first one, then twice as many each time, up to ``at_once``.

    The way to the thread and back takes longer than reading a small item.
    """
    count = 1
    try:
        while True:
            some = await asyncio.to_thread(_take, items, count)
            for item in some:
                yield item
            if len(some) < count:
                return
            count = min(2 * count, at_once)
    finally:
        closing = getattr(items, "close", None)
        if closing is not None:
            await asyncio.to_thread(closing)


def _take(items: Iterator[T], count: int) -> list[T]:
    return list(islice(items, count))
