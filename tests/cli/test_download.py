"""A download goes on where it broke off, with the same file, and appears when it is complete."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from services.cli.client import BrokenOffError, Client, RefusedError

DATA = bytes(range(256)) * 4000
ETAG = '"abcdef0123456789"'
Serve = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def wall(serve: Serve) -> AsyncIterator[Client]:
    app = web.Application()
    app.router.add_get("/api/v1/exports/export-1/file", serve)
    async with TestServer(app) as server, Client(str(server.make_url("/"))) as client:
        yield client


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


class Breaking:
    """Sends half of what is asked for and breaks off, ``times`` times."""

    def __init__(self, times: int, *, etag: str = ETAG) -> None:
        self.asked: list[tuple[str | None, str | None]] = []
        self._times = times
        self._etag = etag

    async def serve(self, request: web.Request) -> web.StreamResponse:
        asked = request.headers.get("Range"), request.headers.get("If-Range")
        self.asked.append(asked)
        same = asked[0] is not None and asked[1] == self._etag
        begin = int(asked[0].removeprefix("bytes=").rstrip("-")) if same and asked[0] else 0
        data = DATA[begin:]
        response = web.StreamResponse(status=206 if same else 200, headers={"Content-Length": str(len(data))})
        await response.prepare(request)
        if len(self.asked) <= self._times:
            await response.write(data[: len(data) // 2])
            assert request.transport is not None
            request.transport.close()
            return response
        await response.write(data)
        return response


async def download(client: Client, target: Path, **more: Callable[[int, int | None], None]) -> int:
    return await client.download("/exports/export-1/file", target, etag=ETAG, **more)


async def test_what_broke_off_goes_on_where_it_was(tmp_path: Path) -> None:
    serve, target, seen = Breaking(2), tmp_path / "a.mp4", list[tuple[int, int | None]]()
    async with wall(serve.serve) as client:
        for _ in range(2):
            with pytest.raises(BrokenOffError):
                await download(client, target)
            assert not target.exists()
        size = await download(client, target, progress=lambda done, total: seen.append((done, total)))
    assert (size, target.read_bytes()) == (len(DATA), DATA)
    half = len(DATA) // 2
    assert serve.asked == [(None, None), (f"bytes={half}-", ETAG), (f"bytes={half + half // 2}-", ETAG)]
    assert seen[-1] == (len(DATA), len(DATA))
    assert names(tmp_path) == ["a.mp4"]


async def test_a_file_that_became_another_is_downloaded_from_its_beginning(tmp_path: Path) -> None:
    async with wall(Breaking(1).serve) as client:
        with pytest.raises(BrokenOffError):
            await download(client, tmp_path / "a.mp4")
    serve = Breaking(0, etag='"another"')
    async with wall(serve.serve) as client:
        await download(client, tmp_path / "a.mp4")
    assert serve.asked[0][0] is not None, "it asked to go on"
    assert (tmp_path / "a.mp4").read_bytes() == DATA


async def test_a_part_that_is_longer_than_the_file_is_thrown_away(tmp_path: Path) -> None:
    part = tmp_path / f"a.mp4.{ETAG[1:13]}.part"
    part.write_bytes(b"x" * 10)

    async def unsatisfied(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=416)

    async with wall(unsatisfied) as client:
        with pytest.raises(BrokenOffError):
            await download(client, tmp_path / "a.mp4")
    assert not part.exists()


async def test_a_refusal_is_told_as_such(tmp_path: Path) -> None:
    async def gone(_request: web.Request) -> web.StreamResponse:
        return web.json_response({"detail": "it expired", "code": "not-found"}, status=404)

    async with wall(gone) as client:
        with pytest.raises(RefusedError, match="it expired"):
            await download(client, tmp_path / "a.mp4")
    assert names(tmp_path) == []
