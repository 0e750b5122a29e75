"""Recordings that a viewer cannot decode, or may see with masks alone, made into H.264 on their way to a slot.

Each slot has a converter process of its own, for as long as it shows such recordings: it is asked one access unit after
another, nothing is left out, and a jump takes no new process. It shares its limit with the cameras that are converted
live (`Conversions.open_footage`).
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable

from services.contracts.errors import UnavailableError
from services.contracts.frames import AccessUnit, Codec, decode, encode
from services.contracts.models import Reason
from services.footage.playback import PlaybackItem
from services.media.output_order import OutputOrder, Placement
from services.wall.relay.convert.framing import HIDE, SHOW
from services.wall.relay.convert.process import ConverterProcess


class ConversionRefusedError(UnavailableError):
    """No conversion is possible just now; ``reason`` says why, as the page is told."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class FootageConverter:
    """Client of one slot's converter process. The owner resolves `process` once it has started."""

    def __init__(self) -> None:
        self.process: asyncio.Future[ConverterProcess] = asyncio.get_running_loop().create_future()
        self.closed = asyncio.Event()

    def close(self) -> None:
        """Ends the process."""
        self.closed.set()

    async def convert(self, unit: AccessUnit, *, show: bool) -> list[AccessUnit]:
        """The pictures that ``unit`` completes, those before it included. Raises `ConversionRefusedError`."""
        return await self._ask((SHOW if show else HIDE) + encode(unit))

    async def flush(self) -> list[AccessUnit]:
        """The pictures that the decoder still held; what comes next begins anew."""
        return await self._ask(b"")

    async def _ask(self, request: bytes) -> list[AccessUnit]:
        try:
            process = await asyncio.shield(self.process)
            return [decode(message) for message in await process.request(request)]
        except (OSError, asyncio.IncompleteReadError) as error:
            self.close()
            raise ConversionRefusedError(Reason.BAD_STREAM, "the conversion failed; it is tried again") from error


class PlaybackTranscoder:
    """Passes a player's items on to a slot, those that its viewer cannot decode converted; with privacy masks all.

    Of B-pictures those that nothing refers to are left out. Where that is not enough (`OutputOrder`), what was read
    since the keyframe is given to a converter, and all that follows is converted.
    """

    def __init__(
        self, accepts: Callable[[Codec], bool], open_converter: Callable[[], FootageConverter], *, masked: bool = False
    ) -> None:
        """``open_converter`` raises `ConversionRefusedError` where there are too many. ``masked``: its converters draw
        privacy masks, so nothing is passed on as it was recorded."""
        self._masked = masked
        self._order = OutputOrder()
        self._reordered = False
        """Whether this camera's recordings were found to need a conversion for their order."""
        self.converting = False
        """Whether what was given last had to be converted."""
        self._accepts = accepts
        self._open = open_converter
        self._converter: FootageConverter | None = None

    def close(self) -> None:
        """Ends the conversion, if there is one."""
        if self._converter is not None:
            self._converter.close()
            self._converter = None

    async def playable(
        self, items: AsyncIterator[PlaybackItem], at_us: int, *, every_frame: bool
    ) -> AsyncGenerator[PlaybackItem, None]:
        """``items`` in order. Where they are all frames, only the last picture up to ``at_us`` is wanted of those.

        Raises `ConversionRefusedError`.
        """
        converter: FootageConverter | None = None
        led: AccessUnit | None = None
        """The newest unit up to ``at_us``. It is converted when the next one shows whether it is the last of them."""
        passed: list[AccessUnit] = []
        """Since the last keyframe, while nothing is converted."""
        async for item in items:
            if led is not None and converter is not None:
                show = not isinstance(item, AccessUnit) or item.capture_us > at_us
                for unit in await converter.convert(led, show=show):
                    yield unit
                led = None
            placement = Placement.IN_ORDER
            if isinstance(item, AccessUnit):
                if item.keyframe or converter is not None:
                    passed.clear()
                passed.append(item)
                placement = self._order.place(item.codec.ffmpeg_name, item.payload, keyframe=item.keyframe)
                self._reordered |= placement in (Placement.REORDERED, Placement.OPEN)
                passes = self._accepts(item.codec) and not (self._reordered or self._masked)
                if placement is Placement.DROPPABLE and passes:
                    continue
            reordered = self._reordered if every_frame else placement is Placement.OPEN
            if not isinstance(item, AccessUnit) or self._passes(item.codec, reordered=reordered):
                if converter is not None:
                    for unit in await converter.flush():
                        yield unit
                self.converting = False
                yield item
                continue
            if converter is None:
                converter = self._converter = await self._fresh()
                for unit in passed[:-1]:
                    await converter.convert(unit, show=False)
                passed.clear()
            self.converting = True
            if every_frame and item.capture_us <= at_us:
                led = item
                continue
            made = await converter.convert(item, show=True)
            if not every_frame:
                made += await converter.flush()
            for unit in made:
                yield unit

    def _passes(self, codec: Codec, *, reordered: bool) -> bool:
        if self._masked:
            return False
        return not self._accepts(Codec.H264) or (self._accepts(codec) and not reordered)

    async def _fresh(self) -> FootageConverter:
        """A converter that remembers nothing of what it was asked before."""
        converter = self._converter
        if converter is None or converter.closed.is_set():
            return self._open()
        await converter.flush()
        return converter
