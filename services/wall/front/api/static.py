"""The operators' app, which `make web` builds into ``services/wall/static``, and the OpenAPI document."""

from pathlib import Path
from typing import Final

from aiohttp import hdrs, web

import services.wall
from services.contracts.errors import NotFoundError
from services.wall.front.api import pages
from services.wall.front.api.signin import sign_in_page
from services.wall.front.context import FrontRequest

FOLDER: Final = Path(services.wall.__file__).parent / "static"
PMTILES: Final = "application/vnd.pmtiles"
IMMUTABLE: Final = "public, max-age=31536000, immutable"
MAX_NAME: Final = 200
"""Characters of a file name; a file system refuses longer ones with an error."""


async def index(request: FrontRequest) -> web.StreamResponse:
    """The app; the sign-in page for a browser that is not signed in; instructions where the app is not built."""
    front = request.front
    if await front.identity.identify(request.raw) is None:
        return sign_in_page(request)
    path = front.static / "index.html"
    if not path.is_file():
        return pages.not_built(request.raw)
    return web.FileResponse(path, headers={hdrs.CACHE_CONTROL: "no-cache"})


async def screen_page(request: FrontRequest) -> web.StreamResponse:
    """The app, which sees by its address that it is a screen."""
    request.path_id("name")
    return await index(request)


async def asset(request: FrontRequest) -> web.StreamResponse:
    """A file whose name carries a hash of its content."""
    return _file(request.front.static / "assets", request.raw.match_info["name"], IMMUTABLE)


async def root_file(request: FrontRequest) -> web.StreamResponse:
    """A file beside the app, as the icon."""
    return _file(request.front.static, request.raw.match_info["name"], "no-cache")


async def city_map(request: FrontRequest) -> web.StreamResponse:
    """The city's map, whole or the part that ``Range`` asks for; its ``ETag`` says whether it is still the same."""
    path = request.front.map_file
    if not path.is_file():
        raise NotFoundError("there is no map of the city; docs/guide/map.md says how one is put in place")
    headers = {hdrs.CACHE_CONTROL: "private, max-age=3600", hdrs.CONTENT_TYPE: PMTILES}
    return web.FileResponse(path, headers=headers)


async def openapi(request: FrontRequest) -> web.Response:
    """The OpenAPI document of all routes."""
    return web.json_response(request.front.openapi, headers={hdrs.CACHE_CONTROL: "no-cache"})


def _file(folder: Path, name: str, caching: str) -> web.FileResponse:
    path = folder / name
    if len(name) > MAX_NAME or path.name != name or name.startswith(".") or not path.is_file():
        raise NotFoundError(f"there is no file {name!r}")
    return web.FileResponse(path, headers={hdrs.CACHE_CONTROL: caching})
