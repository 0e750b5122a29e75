"""A real identity provider, `oidc-provider-mock`, as a process of its own, and a browser's way through it."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import aiohttp

from tests.support.ports import free_port
from tests.wall.front.running import RunningFront, until_listening

PEOPLE: Final[tuple[dict[str, Any], ...]] = (
    {"sub": "u1", "preferred_username": "budi", "groups": ["staf", "pantau-op"]},
    {"sub": "u2", "preferred_username": "citra", "groups": ["pantau-op", "pantau-admin"]},
    {"sub": "u3", "preferred_username": "dewi", "groups": ["staf"]},
    {"sub": "u4", "preferred_username": "sari", "groups": ["pantau-op"]},
    {"sub": "u5", "preferred_username": "bad name", "groups": ["pantau-op"]},
    {"sub": "u6", "preferred_username": "budi-baru", "groups": ["pantau-admin"]},
)


@asynccontextmanager
async def running_provider(*people: dict[str, Any]) -> AsyncIterator[str]:
    """The issuer of a provider that knows ``people``; `PEOPLE` where none are named."""
    port = free_port()
    claims = [word for person in people or PEOPLE for word in ("--user-claims", json.dumps(person))]
    command = (sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", "--port", str(port), "--require-nonce")
    process = await asyncio.create_subprocess_exec(*command, *claims, stderr=asyncio.subprocess.DEVNULL)
    ended = asyncio.create_task(_ended(process))
    try:
        await until_listening(port, ended)
        yield f"http://127.0.0.1:{port}"
    finally:
        ended.cancel()
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _ended(process: asyncio.subprocess.Process) -> None:
    raise AssertionError(f"the identity provider ended with {await process.wait()}")


def oidc(issuer: str) -> dict[str, Any]:
    """A front's settings for it."""
    return {
        "oidc_issuer": issuer,
        "oidc_client_id": "pantau",
        "oidc_client_secret": "rahasia",
        "oidc_roles": ("pantau-op=operator", "pantau-admin=admin"),
    }


@asynccontextmanager
async def a_browser(front: RunningFront) -> AsyncIterator[aiohttp.ClientSession]:
    """Keeps cookies, also those of an address without a name."""
    async with aiohttp.ClientSession(base_url=front.url, cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
        yield http


async def authorized(http: aiohttp.ClientSession, subject: str) -> str:
    """The address with which the provider leads a browser back that has begun and signed in as ``subject``."""
    async with http.get("/oidc/sign-in", allow_redirects=False) as answer:
        assert answer.status == 303, await answer.text()
        there = answer.headers["Location"]
    asked = parse_qs(urlsplit(there).query)
    assert asked["code_challenge_method"] == ["S256"]
    async with http.post(there, data={"sub": subject}, allow_redirects=False) as answer:
        assert answer.status == 302, await answer.text()
        return answer.headers["Location"]


async def sign_in(http: aiohttp.ClientSession, subject: str) -> tuple[int, str]:
    """Signs in at the provider and comes back: status and page."""
    async with http.get(await authorized(http, subject)) as answer:
        return answer.status, await answer.text()
