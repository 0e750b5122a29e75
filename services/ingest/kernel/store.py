"""Where the receive kernel puts one connection's messages, until Python fetches them."""

import mmap
from struct import Struct
from typing import Final

from services.ingest.kernel.library import Connection, ffi
from services.ingest.usual_pictures import UsualPictures

STORE_BYTES: Final = 768 * 1024
"""Of a connection's messages: the largest that the kernel makes, and then some. Pages that no data reaches cost no
memory."""
PICTURES: Final = 128
"""Between two fetches, at most."""
_PICTURE: Final = Struct("@qqIIII")


class PictureStore:
    """One connection's. It must be held as long as the connection."""

    def __init__(self, connection: Connection, *, store_bytes: int = STORE_BYTES) -> None:
        assert _PICTURE.size == ffi.sizeof("pi_picture")
        self._connection = connection
        self._bytes = memoryview(mmap.mmap(-1, store_bytes))
        self._pictures = ffi.new("pi_picture[]", PICTURES)
        self._records = memoryview(ffi.buffer(self._pictures))
        connection.store, connection.store_bytes = ffi.from_buffer("uint8_t[]", self._bytes), store_bytes
        connection.pictures, connection.pictures_room = self._pictures, PICTURES

    def fetch(self) -> UsualPictures | None:
        """What the kernel has taken since the last time, which must be published by now; None: nothing."""
        connection = self._connection
        count = connection.pictures_count
        if not count:
            return None
        arrivals_us, dts_90k, begins, sizes, payload_bytes, keyframes = zip(
            *_PICTURE.iter_unpack(self._records[: count * _PICTURE.size]), strict=True
        )
        stored = self._bytes
        messages = [bytes(stored[at : at + size]) for at, size in zip(begins, sizes, strict=True)]
        connection.pictures_count = connection.stored_bytes = 0
        return UsualPictures(messages, arrivals_us, dts_90k, payload_bytes, keyframes)
