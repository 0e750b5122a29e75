"""Evidence for a hub that this mesh's owner has joined: a bundle of one camera, made here and signed by recorders here.

The hub gets the file's bytes (`services.contracts.evidence.exchange.BundleQuestion`). So what a manifest says of gaps
and of who asked is this mesh's own statement, and a hub has nothing signed that it wrote itself. Right and camera stand
in the subject, and nats-server holds to what was granted.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Final

from services.contracts import subjects
from services.contracts.errors import InvalidInputError, UnavailableError
from services.contracts.evidence.exchange import BUNDLE, MAX_CAMERA_US, BundleOpened, BundlePiece, BundleQuestion
from services.contracts.models import Camera, Id
from services.contracts.permissions import Actor, Right
from services.contracts.sites import EVERY_RECORDER, AskedAcross, control_of
from services.footage.evidence.export import BundleRequest, NamedCamera, OpenBundle, open_bundle
from services.mesh import rpc, transfer
from services.mesh.buckets import Mirror
from services.mesh.bus import Bus
from services.mesh.clock import Clock
from services.mesh.leases import Workers

SERVICE: Final = "wall"
BUNDLES_TO_HUB: Final = 8
"""At once. Another owner's demand must not take a wall from its own."""
_PIECE_BYTES: Final = 1024 * 1024


class HubBundles:
    """`run` answers until it is cancelled."""

    def __init__(
        self,
        bus: Bus,
        tasks: asyncio.TaskGroup,
        home: Id,
        *,
        cameras: Mirror[Camera],
        workers: Workers,
        clock: Clock,
    ) -> None:
        self._bus = bus
        self._tasks = tasks
        self._home = home
        self._cameras = cameras
        self._workers = workers
        self._clock = clock
        self._making = 0

    async def run(self) -> None:
        """Answers."""
        where = subjects.footage_question(self._home, "*", "*", EVERY_RECORDER, BUNDLE)
        endpoint = rpc.Endpoint(
            "footage-bundle", BundleQuestion, self._open, Right.EVIDENCE, subject=where, fit=self._fit
        )
        answering = await rpc.serve(self._bus, self._tasks, home=self._home, service=SERVICE, endpoints=[endpoint])
        try:
            await asyncio.Event().wait()
        finally:
            if self._bus.connected:
                await answering.stop()

    def _fit(self, question: BundleQuestion, actor: Actor, subject: str) -> tuple[BundleQuestion, Actor]:
        """About the camera that the subject names, for a person of the hub's."""
        asked = AskedAcross.of(subject)
        fitted = {"camera": asked.camera, "deliver_to": asked.data(self._home, question.deliver_to)}
        named = actor._replace(name=f"{actor.name}@{question.hub}")
        return question.model_copy(update=fitted), asked.actor(named)

    async def _open(self, question: BundleQuestion, actor: Actor) -> BundleOpened:
        if not 0 < question.to_us - question.from_us <= MAX_CAMERA_US:
            raise InvalidInputError("a bundle ends after it begins, and is at most 24 hours long")
        if self._making >= BUNDLES_TO_HUB:
            raise UnavailableError(f"{BUNDLES_TO_HUB} bundles are being made for the hub already; try again")
        self._making += 1
        try:
            wanted = BundleRequest(
                {question.camera: NamedCamera(self._home, self._name(question.camera))},
                question.from_us,
                question.to_us,
                actor,
                question.reason,
                question.incident,
                causes_alone=True,
            )
            recorders = len(self._workers.alive("recorder"))
            bundle = await open_bundle(self._bus, self._home, wanted, recorders=recorders, clock=self._clock)
            control = await transfer.send(
                self._bus,
                self._tasks,
                question.deliver_to,
                _pieces(bundle),
                name=f"bundle {question.camera} for {question.hub}",
                control=control_of(question.deliver_to),
                when_over=self._over,
            )
        except BaseException:
            self._over()
            raise
        return BundleOpened(control=control, bundle=bundle.bundle)

    def _over(self) -> None:
        self._making -= 1

    def _name(self, camera_id: Id) -> str:
        """As the catalogue has it; of a removed camera its id."""
        camera = self._cameras.get(camera_id)
        is_ours = camera is not None and camera.owner_id is None and camera.site == self._home
        return camera.name if camera is not None and is_ours else camera_id


async def _pieces(bundle: OpenBundle) -> AsyncIterator[bytes]:
    """The messages of a bundle. Its papers are too large for one."""
    async with aclosing(bundle.chunks()) as chunks:
        async for chunk in chunks:
            for at in range(0, len(chunk), _PIECE_BYTES):
                data = chunk[at : at + _PIECE_BYTES]
                yield BundlePiece(bundle.progress, bundle.made_up, data).pack()
