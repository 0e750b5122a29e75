"""A bundle of a joined site's camera, which its owner makes and signs; this mesh passes it on as it is."""

from collections.abc import AsyncGenerator
from struct import error as StructError  # noqa: N812 (an exception's name)

from services.contracts.errors import NotFoundError, UnavailableError
from services.contracts.evidence.exchange import BUNDLE, BundleOpened, BundlePiece, BundleQuestion
from services.contracts.models import Id
from services.contracts.recordings import TimelineQuestion
from services.footage.evidence.export import BundleRequest
from services.footage.owners import Owner, open_transfer
from services.mesh.bus import Bus
from services.mesh.transfer import Incoming


class OwnersBundle:
    """`open` it, then `chunks` gives its bytes, once."""

    def __init__(self, bus: Bus, home: Id, camera: Id, owner: Owner, request: BundleRequest) -> None:
        """``camera`` is this mesh's name of it."""
        self.bundle: Id = ""
        """The owner's name of it, once it is open."""
        self.progress = 0.0
        self.made_up = False
        self.cameras = (camera,)
        self.folder = camera
        self._bus = bus
        self._home = home
        self._owner = owner
        self._request = request
        self._incoming: Incoming | None = None

    async def require_footage(self) -> None:
        """Raises `NotFoundError` where there is none in the range, and as `Owner.timeline` does."""
        request = self._request
        question = TimelineQuestion(camera=self.cameras[0], from_us=request.from_us, to_us=request.to_us)
        if not (await self._owner.timeline(self._bus, question, request.actor)).ranges:
            raise NotFoundError("there is no footage in this range; the timeline shows where there is some")

    async def open(self) -> None:
        """Has the owner begin. Raises `NotFoundError` where it has no footage, and as `Owner.timeline` does."""
        request = self._request
        incoming = await open_transfer(self._bus, self._owner)
        question = BundleQuestion(
            camera=self._owner.camera,
            from_us=request.from_us,
            to_us=request.to_us,
            reason=request.reason,
            incident=request.incident,
            hub=self._home,
            deliver_to=incoming.deliver_to,
        )
        try:
            opened = await self._owner.ask_for_all(self._bus, BUNDLE, question, BundleOpened, request.actor)
            await incoming.accept(opened.control)
        except BaseException:
            await incoming.close()
            raise
        self.bundle, self._incoming = opened.bundle, incoming

    async def chunks(self) -> AsyncGenerator[bytes]:
        """The bytes of the file. Raises `PantauError` where the owner fails on the way; the file is then unusable."""
        assert self._incoming is not None
        async with self._incoming as incoming:
            async for message in incoming:
                try:
                    piece = BundlePiece.unpack(message)
                except StructError as error:
                    raise UnavailableError("an owner's answer could not be read") from error
                self.progress, self.made_up = piece.progress, piece.made_up
                yield piece.data

    async def close(self) -> None:
        """Ends the transfer, where `chunks` has not."""
        if self._incoming is not None:
            await self._incoming.close()
