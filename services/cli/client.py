"""Shared by the client commands: the options ``--url`` and ``--token``, and a small client of the wall's HTTP API."""

import asyncio
import functools
import os
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Concatenate, Final, ParamSpec, Self
from urllib.parse import urlsplit

import aiohttp
import click

import services
from services.contracts.errors import PantauError
from services.contracts.redact import redact

DEFAULT_URL: Final = "http://127.0.0.1:8080"
EXIT_REFUSED: Final = 1
"""The wall refused the request, or did a part of it."""
EXIT_UNREACHABLE: Final = 3
"""Nothing answers at the URL, or it is no wall. (Status 2 is click's: a wrong command line.)"""

_CONNECT_SECONDS: Final = 10
_SILENCE_SECONDS: Final = 90
_CHUNK_BYTES: Final = 256 * 1024

Params = Mapping[str, str] | Sequence[tuple[str, str]]
P = ParamSpec("P")


class UnreachableError(PantauError):
    """Nothing answers at the URL, or it is no wall."""

    code = "unreachable"


class RefusedError(PantauError):
    """The wall refused; `problem_code` is the problem document's ``code``."""

    code = "refused"

    def __init__(self, message: str, *, status: int, problem_code: str = "") -> None:
        super().__init__(message)
        self.http_status = status
        self.problem_code = problem_code


class BrokenOffError(PantauError):
    """An answer ended before it was complete."""

    code = "broken-off"


class Client:
    """The wall's HTTP API, as an async context manager. Paths are below ``/api/v1``."""

    def __init__(self, url: str, token: str | None = None) -> None:
        """``token``: an API token of an account; without one the wall must accept anonymous callers."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise click.BadParameter(f"{redact(url)!r} is no URL of a wall; {DEFAULT_URL} is one", param_hint="--url")
        self._url = url.rstrip("/")
        self._headers = {"User-Agent": f"pantau/{services.__version__}"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS, sock_read=_SILENCE_SECONDS)
        self._session = aiohttp.ClientSession(headers=self._headers, timeout=timeout, trust_env=True)
        return self

    async def __aexit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if self._session:
            await self._session.close()

    async def call(
        self,
        method: str,
        path: str,
        *,
        params: Params = (),
        json: Any = None,
        body: bytes | None = None,
        content_type: str = "application/json",
    ) -> Any:
        """The JSON answer; None where there is none. Raises `RefusedError` or `UnreachableError`."""
        headers = {"Content-Type": content_type} if body is not None else {}
        try:
            async with self._request(method, path, params=params, json=json, data=body, headers=headers) as response:
                await _refuse(response)
                return await response.json() if response.status != 204 else None
        except _NETWORK as error:
            raise self._unreachable(error) from error

    async def download(
        self,
        path: str,
        target: Path,
        *,
        progress: Callable[[int, int | None], None] = lambda done, total: None,
        etag: str,
    ) -> int:
        """Streams the file with this ``etag`` into ``target``, which appears when it is complete; returns its size.

        Where it broke off before, also in another process, it goes on. ``progress(bytes so far, bytes in all or None)``
        is called as it goes. Raises as `call`, `BrokenOffError`, and ``OSError`` where the file cannot be written.
        """
        part = target.with_name(f"{target.name}.{etag.strip(chr(34))[:12]}.part")
        done = part.stat().st_size if part.exists() else 0
        headers = {"Range": f"bytes={done}-", "If-Range": etag} if done else {}
        try:
            async with self._request("GET", path, headers=headers) as response:
                if response.status == 416:  # all of it is there
                    part.unlink()
                    raise BrokenOffError("what was downloaded before is no part of this file; try again")
                await _refuse(response)
                done = done if response.status == 206 else 0
                total = None if response.content_length is None else done + response.content_length
                with part.open("ab" if done else "wb") as file:
                    async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
                        file.write(chunk)
                        done += len(chunk)
                        progress(done, total)
            part.replace(target)
        except aiohttp.ClientPayloadError as error:
            raise BrokenOffError(f"the download broke off after {done:,} bytes; try again") from error
        except _NETWORK as error:
            raise self._unreachable(error) from error
        return done

    async def save(self, path: str, target: Path, *, params: Params = ()) -> int:
        """Streams an answer into ``target``, which appears when it is complete; returns its size.

        Raises as `download`.
        """
        part = target.with_name(f".{target.name}.part")
        try:
            async with self._request("GET", path, params=params) as response:
                await _refuse(response)
                with part.open("wb") as file:
                    async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
                        file.write(chunk)
                    size = file.tell()
            part.replace(target)
        except aiohttp.ClientPayloadError as error:
            raise BrokenOffError("the answer broke off; try again") from error
        except _NETWORK as error:
            raise self._unreachable(error) from error
        finally:
            part.unlink(missing_ok=True)
        return size

    def _request(self, method: str, path: str, **more: Any) -> Any:
        if self._session is None:
            raise RuntimeError("the client is used outside its context")
        return self._session.request(method, f"{self._url}/api/v1{path}", allow_redirects=False, **more)

    def _unreachable(self, error: BaseException) -> UnreachableError:
        why = redact(str(error)) or type(error).__name__
        return UnreachableError(f"no wall answers at {redact(self._url)} ({why}); is it running? (--url, PANTAU_URL)")


_NETWORK: Final = (aiohttp.ClientError, TimeoutError)


async def _refuse(response: aiohttp.ClientResponse) -> None:
    """Raises `RefusedError` with the problem document's text where the answer is no success."""
    if 200 <= response.status < 300:
        return
    problem: Any = {}
    if "json" in response.content_type:
        problem = await response.json(content_type=None)
    problem = problem if isinstance(problem, dict) else {}
    detail = str(problem.get("detail") or problem.get("title") or response.reason or "")
    fields = problem.get("errors")
    if isinstance(fields, list):
        named = [f"{entry.get('field')}: {entry.get('message')}" for entry in fields if isinstance(entry, dict)]
        detail = "; ".join(text for text in named if text not in detail) or detail
    if response.status == 401:
        detail = f"{detail or 'not signed in'}; give an API token with --token or PANTAU_TOKEN"
    raise RefusedError(
        detail or f"HTTP {response.status}", status=response.status, problem_code=str(problem.get("code", ""))
    )


def given_token(token: str | None) -> str | None:
    """The API token: the option's, or what the file of ``PANTAU_TOKEN_FILE`` holds."""
    path = os.environ.get("PANTAU_TOKEN_FILE")
    if token or not path:
        return token
    try:
        return Path(path).read_text().strip()
    except OSError as error:
        raise click.UsageError(f"PANTAU_TOKEN_FILE: cannot read {path}: {error.strerror}") from error


async def all_pages(client: Client, path: str, field: str, params: Mapping[str, str]) -> AsyncIterator[Any]:
    """The things of a list, page by page; raises as `Client.call` does."""
    cursor: str | None = ""
    while cursor is not None:
        page = await client.call("GET", path, params={**params, "cursor": cursor} if cursor else params)
        for each in page[field]:
            yield each
        cursor = page["next"]


def client_command(
    command: Callable[Concatenate[Client, P], Coroutine[Any, Any, int | None]],
) -> Callable[..., None]:
    """Makes a click callback of a coroutine function that takes a `Client` first and returns its exit status.

    Adds ``--url`` and ``--token``. An expected failure is printed in one line, with `EXIT_REFUSED` or
    `EXIT_UNREACHABLE`; put it below ``@click.command()``.
    """

    @click.option(
        "--url", default=DEFAULT_URL, envvar="PANTAU_URL", show_default=True, help="The wall.  [env: PANTAU_URL]"
    )
    @click.option("--token", envvar="PANTAU_TOKEN", help="API token.  [env: PANTAU_TOKEN, PANTAU_TOKEN_FILE]")
    @functools.wraps(command)
    def callback(url: str, token: str | None, *args: P.args, **kwargs: P.kwargs) -> None:
        async def run() -> int | None:
            async with Client(url, given_token(token)) as client:
                return await command(client, *args, **kwargs)

        try:
            status = asyncio.run(run())
        except PantauError as error:
            click.echo(f"pantau: {error.message}", err=True)
            status = EXIT_UNREACHABLE if isinstance(error, UnreachableError) else EXIT_REFUSED
        if status:
            sys.exit(status)

    return callback
