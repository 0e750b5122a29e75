"""The STUN and TURN servers that viewers get, with credentials that expire.

Credentials follow "A REST API For Access To TURN Services" (draft-uberti-behave-turn-rest-00), which coturn implements
as ``use-auth-secret`` with ``static-auth-secret``: the username is ``<expiry, Unix seconds>:<name>`` and the password
the base64 of its HMAC-SHA1 under the shared secret.
"""

import hashlib
import hmac
from base64 import b64encode
from collections.abc import Sequence
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict

from services.mesh.clock import Clock


class IceServer(BaseModel):
    """An ``RTCIceServer`` of WebRTC."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)

    urls: list[str]
    username: str | None = None
    credential: str | None = None


def turn_credentials(secret: str, name: str, expires_at_seconds: int) -> tuple[str, str]:
    """Username and password for a TURN server that shares ``secret``, good until ``expires_at_seconds`` (Unix time)."""
    username = f"{expires_at_seconds}:{quote(name, safe='')}"
    digest = hmac.new(secret.encode(), username.encode(), hashlib.sha1).digest()
    return username, b64encode(digest).decode()


class IceServers:
    """Makes the list for a viewer, with fresh credentials each time."""

    def __init__(self, urls: Sequence[str], secret: str, ttl_seconds: int, clock: Clock) -> None:
        self._stun = [url for url in urls if url.startswith("stun")]
        self._turn = [url for url in urls if url.startswith("turn")]
        self._secret = secret
        self._ttl_seconds = ttl_seconds
        self._clock = clock

    def for_viewer(self, name: str) -> list[IceServer]:
        """The servers, for a page's ``RTCPeerConnection``."""
        servers = [IceServer(urls=self._stun)] if self._stun else []
        if self._turn:
            username, credential = self._credentials(name)
            servers.append(IceServer(urls=self._turn, username=username, credential=credential))
        return servers

    def links(self, name: str) -> list[str]:
        """The servers as values of ``Link`` headers (RFC 9725, section 4.6), one each."""
        links = [f'<{url}>; rel="ice-server"' for url in self._stun]
        if self._turn:
            username, credential = self._credentials(name)
            login = (
                f'; username="{username}"; credential="{credential}"; credential-type="password"' if username else ""
            )
            links += [f'<{url}>; rel="ice-server"{login}' for url in self._turn]
        return links

    def _credentials(self, name: str) -> tuple[str | None, str | None]:
        if not self._secret:
            return None, None
        expires = self._clock.now_us() // 1_000_000 + self._ttl_seconds
        return turn_credentials(self._secret, name, expires)
