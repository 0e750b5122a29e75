"""Writes an evidence bundle as a stream, in the form of `services.footage.evidence.container`."""

from collections.abc import AsyncGenerator, AsyncIterator

from services.footage.evidence.container import Container


class BundleWriter:
    """A bundle in the making. Yields bytes as they become final; `close` yields the last of them."""

    def __init__(self) -> None:
        self._container = Container()

    async def add(self, name: str, chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
        """Adds a file, piece by piece."""
        yield self._container.begin(name, streamed=True)
        async for chunk in chunks:
            yield self._container.data(chunk)
        yield self._container.end()

    def add_bytes(self, name: str, data: bytes) -> bytes:
        """Adds a small file."""
        made = self._container
        return made.begin(name, streamed=False) + made.data(data) + made.end()

    def close(self) -> bytes:
        """The directory and the seal."""
        return self._container.close()
