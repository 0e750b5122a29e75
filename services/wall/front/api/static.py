"""The operators' app: static files that `make web` builds into ``services/wall/static``."""

from pathlib import Path
from typing import Final

from aiohttp import hdrs, web

import services.wall
from services.contracts.errors import NotFoundError
from services.wall.front.api import pages
from services.wall.front.http.request import Call

FOLDER: Final = Path(services.wall.__file__).parent / "static"
IMMUTABLE: Final = "public, max-age=31536000, immutable"


async def index(call: Call) -> web.StreamResponse:
    """The app; the sign-in page for a browser that nobody signed in; what to do where the app is not built."""
    front = call.front
    if await front.identity.identify(call.request) is None:
        return pages.sign_in(call.request)
    path = front.static / "index.html"
    if not path.is_file():
        return pages.not_built(call.request)
    return web.FileResponse(path, headers={hdrs.CACHE_CONTROL: "no-cache"})


async def asset(call: Call) -> web.StreamResponse:
    """A file whose name carries a hash of its content."""
    return _file(call.front.static / "assets", call.request.match_info["name"], IMMUTABLE)


async def root_file(call: Call) -> web.StreamResponse:
    """A file beside the app, as the icon."""
    return _file(call.front.static, call.request.match_info["name"], "no-cache")


def _file(folder: Path, name: str, caching: str) -> web.FileResponse:
    path = folder / name
    if path.name != name or name.startswith(".") or not path.is_file():
        raise NotFoundError(f"there is no file {name!r}")
    return web.FileResponse(path, headers={hdrs.CACHE_CONTROL: caching})
