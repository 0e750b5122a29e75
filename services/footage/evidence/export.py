"""Makes an evidence bundle out of recorders' answers, as a stream: nothing of the footage is held in memory."""

import asyncio
import hashlib
import secrets
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Final, NamedTuple

import services
from services.contracts import recordings, subjects
from services.contracts.errors import NotFoundError, PantauError, UnavailableError
from services.contracts.evidence.exchange import (
    DATA,
    EVIDENCE,
    EVIDENCE_SIGN,
    GAP,
    PART_BEGINS,
    PART_ENDS,
    EvidenceOpened,
    EvidenceQuestion,
    ManifestSigned,
    ManifestToSign,
    PartBegins,
    PartEnds,
)
from services.contracts.evidence.manifest import (
    MANIFEST,
    README,
    REPORT,
    SIGNATURE,
    CameraEvidence,
    Manifest,
    ManifestPart,
    ManifestSignature,
)
from services.contracts.evidence.statement import canonical, key_id
from services.contracts.models import Id
from services.contracts.permissions import Actor
from services.contracts.recordings import FootageGap, FootageTimeline, TimelineQuestion
from services.footage.clips import ClipPiece, plan_clip
from services.footage.evidence import report
from services.footage.evidence.account import part_name, with_unknown
from services.footage.evidence.bundle import BundleWriter
from services.footage.timeline import ask_timeline
from services.mesh import rpc
from services.mesh.bus import Bus
from services.mesh.clock import Clock
from services.mesh.transfer import Incoming

SIGN_SECONDS: Final = 15.0


class NamedCamera(NamedTuple):
    """The cameras."""

    site: Id
    name: str


class BundleRequest(NamedTuple):
    """A request for a bundle."""

    cameras: Mapping[Id, NamedCamera]
    from_us: int
    to_us: int
    actor: Actor
    reason: str
    incident: str = ""
    causes_alone: bool = False
    """Gaps are told without their texts, which may name hosts."""


class OpenBundle:
    """A bundle about to be made: `chunks` makes it, once."""

    def __init__(
        self,
        bus: Bus,
        home: Id,
        request: BundleRequest,
        timelines: Mapping[Id, FootageTimeline],
        bundle: Id,
        clock: Clock,
    ) -> None:
        self.bundle = bundle
        self._bus = bus
        self._home = home
        self._request = request
        self._timelines = timelines
        self._clock = clock
        self._keys: dict[str, str] = {}
        self._signers: dict[Id, str] = {}
        """Recorder → the public key that it would sign the manifest with."""
        self._taken: Counter[str] = Counter()
        self._done_us = 0
        """Of all cameras' time, how much is in the bundle."""
        self.made_up = False
        """Whether any of the footage so far is a demo's."""

    @property
    def recorders(self) -> int:
        """How many recorders answered for the camera that fewest answered for."""
        return min(timeline.recorders for timeline in self._timelines.values())

    @property
    def progress(self) -> float:
        """How much of all cameras' time is in the bundle, 0 to 1."""
        request = self._request
        return min(self._done_us / ((request.to_us - request.from_us) * len(request.cameras)), 1.0)

    async def chunks(self) -> AsyncGenerator[bytes]:
        """The bytes of the file. Raises `PantauError` where a recorder fails on the way; the file is then unusable."""
        writer = BundleWriter()
        cameras: list[CameraEvidence] = []
        for number, (camera, named) in enumerate(self._request.cameras.items()):
            timeline = self._timelines[camera]
            self._done_us = number * (self._request.to_us - self._request.from_us)
            parts: list[ManifestPart] = []
            gaps = list(timeline.gaps)
            for piece in plan_clip(timeline):
                async with aclosing(self._piece(writer, camera, piece, parts, gaps)) as found:
                    async for chunk in found:
                        yield chunk
            request = self._request
            if request.causes_alone:
                gaps = [gap.model_copy(update={"detail": ""}) for gap in gaps]
            cameras.append(
                CameraEvidence(
                    camera=camera,
                    site=named.site,
                    name=named.name,
                    parts=tuple(parts),
                    gaps=with_unknown(parts, gaps, request.from_us, request.to_us),
                )
            )
        for name, data in await self._papers(tuple(cameras)):
            yield writer.add_bytes(name, data)
        yield writer.close()

    async def _piece(
        self, writer: BundleWriter, camera: Id, piece: ClipPiece, parts: list[ManifestPart], gaps: list[FootageGap]
    ) -> AsyncGenerator[bytes]:
        """The footage of one recorder in a stretch; fills ``parts`` and ``gaps``."""
        async with await Incoming.open(self._bus) as incoming:
            opened = await rpc.call(
                self._bus,
                subjects.rpc(self._home, f"{recordings.SERVICE}.{piece.recorder}", EVIDENCE),
                EvidenceQuestion(
                    camera=camera,
                    site=self._request.cameras[camera].site,
                    from_us=piece.from_us,
                    to_us=piece.to_us,
                    deliver_to=incoming.deliver_to,
                ),
                EvidenceOpened,
                actor=self._request.actor,
            )
            await incoming.accept(opened.control)
            if opened.public:
                self._signers[piece.recorder] = opened.public
            async for message in incoming:
                kind, body = message[:1], message[1:]
                if kind == GAP:
                    gaps += _within(FootageGap.unpack(body), piece)
                elif kind == PART_BEGINS:
                    begins = PartBegins.unpack(body)
                    if begins.statement.site != self._request.cameras[camera].site:
                        await _pass_over(incoming)  # another site's camera had this id
                        continue
                    part = _Part(incoming, begins, part_name(camera, begins.from_us, self._taken))
                    async with aclosing(writer.add(part.file, part.chunks())) as chunks:
                        async for chunk in chunks:
                            yield chunk
                    parts.append(part.made())
                    self._done_us += max(0, parts[-1].to_us - parts[-1].from_us)
                    self.made_up |= bool(begins.statement.made)
                    self._keys[key_id(part.begins.public)] = part.begins.public
                else:
                    raise UnavailableError("a recorder's answer could not be read")

    async def _papers(self, cameras: tuple[CameraEvidence, ...]) -> list[tuple[str, bytes]]:
        """Report, read-me, manifest and its signature."""
        failure: PantauError = UnavailableError("no recorder's key could be used; see the recorders' logs")
        for recorder, public in self._signers.items():
            # A day's footage has megabytes of seals: in a thread, so that the loop serves other requests.
            page, readme, raw = await asyncio.to_thread(self._written, cameras, public)
            try:
                signed = await rpc.call(
                    self._bus,
                    subjects.rpc(self._home, f"{recordings.SERVICE}.{recorder}", EVIDENCE_SIGN),
                    await asyncio.to_thread(ManifestToSign.of, raw),
                    ManifestSigned,
                    actor=self._request.actor,
                    timeout_seconds=SIGN_SECONDS,
                )
            except PantauError as error:
                failure = error
                continue
            signature = ManifestSignature(key_id=key_id(signed.public), signature=signed.signature)
            return [
                (REPORT, page),
                (README, readme),
                (MANIFEST, raw),
                (SIGNATURE, canonical(signature.model_dump(mode="json"))),
            ]
        raise failure

    def _written(self, cameras: tuple[CameraEvidence, ...], public: str) -> tuple[bytes, bytes, bytes]:
        """Report, read-me and manifest, as ``public`` is to sign it."""
        manifest = self._manifest(cameras, self._keys | {key_id(public): public})
        page, readme = report.html(manifest).encode(), report.README.encode()
        files = {REPORT: hashlib.sha256(page).hexdigest(), README: hashlib.sha256(readme).hexdigest()}
        return page, readme, canonical(manifest.model_copy(update={"files": files}).model_dump(mode="json"))

    def _manifest(self, cameras: tuple[CameraEvidence, ...], keys: dict[str, str]) -> Manifest:
        request = self._request
        return Manifest(
            bundle=self.bundle,
            created_us=self._clock.now_us(),
            software=f"pantau {services.__version__}",
            asked_by=request.actor.name,
            role=request.actor.role,
            reason=request.reason,
            incident=request.incident,
            from_us=request.from_us,
            to_us=request.to_us,
            cameras=cameras,
            keys=keys,
            files={},
        )


class _Part:
    """A part on its way into the bundle."""

    def __init__(self, incoming: Incoming, begins: PartBegins, file: str) -> None:
        self.begins = begins
        self.file = file
        self._incoming = incoming
        self._digest = hashlib.sha256()
        self._size_bytes = 0
        self._ends: PartEnds | None = None

    async def chunks(self) -> AsyncIterator[bytes]:
        """Its bytes, up to its end."""
        async for message in self._incoming:
            if message[:1] == PART_ENDS:
                self._ends = PartEnds.unpack(message[1:])
                return
            if message[:1] != DATA:
                break
            data = message[1:]
            self._digest.update(data)
            self._size_bytes += len(data)
            yield data
        raise UnavailableError("a recorder sent less than it said; try again")

    def made(self) -> ManifestPart:
        """The part's entry in the manifest."""
        begins, ends = self.begins, self._ends
        assert ends is not None
        return ManifestPart(
            file=self.file,
            sha256=self._digest.hexdigest(),
            size_bytes=self._size_bytes,
            statement=begins.statement,
            signature=begins.signature,
            key_id=key_id(begins.public),
            first=begins.first,
            fragments=ends.fragments,
            from_us=begins.from_us,
            to_us=ends.to_us,
        )


async def _pass_over(incoming: Incoming) -> None:
    """Reads a part to its end."""
    async for message in incoming:
        if message[:1] != DATA:
            return


def _within(gap: FootageGap, piece: ClipPiece) -> list[FootageGap]:
    """The part of a recorder's gap that lies in the requested range."""
    from_us, to_us = max(gap.from_us, piece.from_us), min(gap.to_us or piece.to_us, piece.to_us)
    return [gap.model_copy(update={"from_us": from_us, "to_us": to_us})] if from_us < to_us else []


async def open_bundle(bus: Bus, home: Id, request: BundleRequest, *, recorders: int, clock: Clock) -> OpenBundle:
    """Looks up who has the footage. Raises `NotFoundError` where nobody has any, `UnavailableError`."""
    questions = [
        TimelineQuestion(camera=camera, site=named.site, from_us=request.from_us, to_us=request.to_us)
        for camera, named in request.cameras.items()
    ]
    answers = await asyncio.gather(
        *(ask_timeline(bus, home, question, recorders=recorders, actor=request.actor) for question in questions)
    )
    timelines = {timeline.camera: timeline for timeline, _ in answers}
    if not any(timeline.ranges for timeline in timelines.values()):
        raise NotFoundError(
            "there is no footage of these cameras in this range; the timeline shows where there is some"
        )
    day = datetime.fromtimestamp(clock.now_us() / 1e6, UTC)
    return OpenBundle(bus, home, request, timelines, f"evidence-{day:%Y%m%d}-{secrets.token_hex(4)}", clock)
