"""Evidence of cameras of one or several owners as one file.

Each owner's recorders sign for their own cameras alone. So the cameras of this mesh are one bundle, and each camera of
a joined site is one that its owner makes. A single bundle is the file. Several are packed, each as it is, in a
container of a bundle's form (`services.footage.evidence.container`), with a read-me that says which cameras are not in
it, and why. `pantau verify` checks each of them.
"""

import asyncio
import secrets
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Final, Protocol

from services.contracts.errors import NotFoundError, PantauError, UnavailableError
from services.contracts.evidence.manifest import README
from services.contracts.exports import LeftOut
from services.contracts.models import Id
from services.footage.evidence.bundle import BundleWriter
from services.footage.evidence.export import BundleRequest, OpenBundle, open_bundle
from services.footage.evidence.owners_bundle import OwnersBundle
from services.footage.owners import NotGrantedError, Owner
from services.mesh.bus import Bus
from services.mesh.clock import Clock

NO_FOOTAGE: Final = "no-footage"
"""The code of a camera that has none in the range."""
_DETAIL_CHARS: Final = 300


class _Bundle(Protocol):
    """One owner's."""

    @property
    def bundle(self) -> Id:
        """Its name."""

    @property
    def folder(self) -> str:
        """Where it stands among others."""

    @property
    def cameras(self) -> Sequence[Id]:
        """Whose footage it has."""

    @property
    def progress(self) -> float:
        """0 to 1."""

    @property
    def made_up(self) -> bool:
        """Whether any of its footage so far is a demo's."""

    async def open(self) -> None:
        """Has it begun."""

    def chunks(self) -> AsyncGenerator[bytes]:
        """Its bytes."""

    async def close(self) -> None:
        """Ends it early."""


class _OwnBundle:
    """Of this mesh's cameras."""

    def __init__(self, made: OpenBundle, folder: str, cameras: Sequence[Id]) -> None:
        self.made = made
        self.bundle = made.bundle
        self.folder = folder
        self.cameras = cameras

    @property
    def progress(self) -> float:
        return self.made.progress

    @property
    def made_up(self) -> bool:
        return self.made.made_up

    async def open(self) -> None:
        """It is."""

    def chunks(self) -> AsyncGenerator[bytes]:
        return self.made.chunks()

    async def close(self) -> None:
        """Nothing is held before `chunks`."""


class Evidence:
    """A file about to be made: `chunks` makes it, once; `close` it."""

    def __init__(self, name: Id, bundles: Sequence[_Bundle], left_out: list[LeftOut], *, packed: bool, settle: bool):
        self.name = name
        """Of the file, without its ending."""
        self.left_out = left_out
        """Complete when all chunks are made."""
        self._bundles = bundles
        self._packed = packed
        self._settle = settle
        self._at = 0

    @property
    def recorders(self) -> int | None:
        """How many of this mesh's recorders answered for the camera that fewest answered for; None: none was asked."""
        return next((each.made.recorders for each in self._bundles if isinstance(each, _OwnBundle)), None)

    @property
    def progress(self) -> float:
        """0 to 1."""
        weights = [len(each.cameras) for each in self._bundles]
        done = sum(weights[: self._at]) + self._bundles[self._at].progress * weights[self._at]
        return done / sum(weights)

    @property
    def made_up(self) -> bool:
        """Whether any of the footage so far is a demo's."""
        return any(each.made_up for each in self._bundles)

    async def chunks(self) -> AsyncGenerator[bytes]:
        """The bytes of the file. Raises `PantauError` where somebody fails on the way; the file is then unusable."""
        if not self._packed:
            async with aclosing(self._bundles[0].chunks()) as chunks:
                async for chunk in chunks:
                    yield chunk
            return
        writer, packed = BundleWriter(), list[tuple[str, _Bundle]]()
        for number, bundle in enumerate(self._bundles):
            self._at = number
            try:
                await bundle.open()
            except PantauError as error:
                self.left_out += left_out(bundle.cameras, error, settle=self._settle)
                continue
            name = f"{bundle.folder}/{bundle.bundle}.zip"
            async with aclosing(bundle.chunks()) as data, aclosing(writer.add(name, data)) as chunks:
                async for chunk in chunks:
                    yield chunk
            packed.append((name, bundle))
        if not packed:
            raise UnavailableError(self.left_out[-1].detail)
        yield writer.add_bytes(README, _readme(packed, self.left_out).encode())
        yield writer.close()

    async def close(self) -> None:
        """Ends what was not made to its end."""
        for bundle in self._bundles:
            await bundle.close()


async def open_evidence(
    bus: Bus,
    home: Id,
    request: BundleRequest,
    owners: Mapping[Id, Owner],
    *,
    recorders: int,
    clock: Clock,
    settle: bool = True,
) -> Evidence:
    """Looks up who has the footage; ``owners`` has the owner of each camera of a joined site.

    Where several bundles are wanted, cameras that cannot be had are left out, while any can be had; without ``settle``
    those alone that have no footage. Raises `NotFoundError`, `InvalidInputError`, and as `Owner.timeline` does.
    """
    own = {camera: named for camera, named in request.cameras.items() if camera not in owners}
    theirs = [OwnersBundle(bus, home, camera, owner, request) for camera, owner in owners.items()]
    if not own and len(theirs) == 1:
        try:
            await theirs[0].open()
        except PantauError as error:
            left_out(theirs[0].cameras, error, settle=settle)
            raise
        return Evidence(theirs[0].bundle, theirs, [], packed=False, settle=settle)

    async def ours() -> _Bundle:
        made = await open_bundle(bus, home, request._replace(cameras=own), recorders=recorders, clock=clock)
        return _OwnBundle(made, home, tuple(own))

    async def of_owner(bundle: OwnersBundle) -> _Bundle:
        await bundle.require_footage()
        return bundle

    wanted = [(tuple(own), ours())] if own else []
    wanted += [(bundle.cameras, of_owner(bundle)) for bundle in theirs]
    found = await asyncio.gather(*(asked for _, asked in wanted), return_exceptions=True)
    bundles, absent, errors = list[_Bundle](), list[LeftOut](), list[PantauError]()
    for (cameras, _), answer in zip(wanted, found, strict=True):
        if isinstance(answer, PantauError):
            errors.append(answer)
            if theirs:
                absent += left_out(cameras, answer, settle=settle)
        elif isinstance(answer, BaseException):
            raise answer
        else:
            bundles.append(answer)
    if not bundles:
        raise first_to_tell(errors)
    if not theirs:
        return Evidence(bundles[0].bundle, bundles, [], packed=False, settle=settle)
    day = datetime.fromtimestamp(clock.now_us() / 1e6, UTC)
    name = f"evidence-{day:%Y%m%d}-{secrets.token_hex(4)}"
    return Evidence(name, bundles, absent, packed=True, settle=settle)


def left_out(cameras: Sequence[Id], error: PantauError, *, settle: bool) -> list[LeftOut]:
    """Why these are not in the file. Raises ``error`` where it may be otherwise later, and ``settle`` is not set.

    A site whose line was cut just now is not away yet, so who has not granted it may have. The text may be another
    owner's, and stands in a line of the read-me.
    """
    if isinstance(error, UnavailableError) and not settle:
        raise error
    if isinstance(error, NotGrantedError) and not settle:
        raise UnavailableError(error.message) from error
    code = NO_FOOTAGE if isinstance(error, NotFoundError) else error.code
    detail = "".join(each if each.isprintable() else " " for each in error.message[:_DETAIL_CHARS])
    return [LeftOut(camera=camera, code=code, detail=detail) for camera in cameras]


def first_to_tell(errors: Sequence[PantauError]) -> PantauError:
    """Of several reasons the one that may pass by itself, else the first."""
    return next((error for error in errors if isinstance(error, UnavailableError)), errors[0])


def _readme(packed: Sequence[tuple[str, _Bundle]], absent: Sequence[LeftOut]) -> str:
    lines = [f"{name}    {', '.join(bundle.cameras)}" for name, bundle in packed]
    missing = [f"{each.camera}: {each.detail} ({each.code})" for each in absent]
    if missing:
        missing = ["", "Tidak ada di sini / not in here:", "", *missing]
    return "\n".join([_HEAD, *lines, *missing, _FOOT])


_HEAD: Final = """\
BUKTI REKAMAN PANTAU / PANTAU FOOTAGE EVIDENCE

Satu bundel untuk tiap pemilik kamera, ditandatangani oleh perekamnya sendiri.
One bundle for each owner of cameras, signed by their own recorders.
"""
_FOOT: Final = """
Periksa keasliannya / check that nothing was altered:

    pip install pantau
    pantau verify FILE.zip

0 = utuh / intact, 1 = berubah / altered, 2 = tidak terbaca / unreadable
"""
