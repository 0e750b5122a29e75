"""The identity provider: OpenID Connect Core 1.0, authorization code flow (3.1) with PKCE (RFC 7636).

The provider's metadata (Discovery 1.0) is read anew each hour. Its keys are read when a token names one that is not
known, which is how providers change them (Core, 10.1.1), at most once in `KEYS_SPACING_SECONDS`.
"""

import asyncio
import hmac
import json
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from hashlib import sha256
from typing import Annotated, Any, Final, NamedTuple
from urllib.parse import quote, urlencode, urlsplit

import aiohttp
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey, import_key
from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints, ValidationError

from services.contracts.errors import UnavailableError
from services.contracts.permissions import ROLE_RIGHTS, Actor, Role
from services.mesh.clock import Clock
from services.mesh.log import get_logger
from services.wall.front.http.errors import UnauthorizedError
from services.wall.settings import WallSettings

log = get_logger()

ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Signatures with a public key. "none", and HMAC with the client's secret, are not among them."""
SKEW_SECONDS: Final = 60
"""The provider's clock may differ by so much."""
METADATA_SECONDS: Final = 3600.0
KEYS_SPACING_SECONDS: Final = 10.0
ANSWER_SECONDS: Final = 10.0
MAX_ANSWER_BYTES: Final = 512 * 1024
EXCHANGES_AT_ONCE: Final = 16


class OidcAttempt(NamedTuple):
    """What a browser takes to the provider, each of 256 random bits."""

    state: str
    """Comes back with the answer: it is this browser's."""
    nonce: str
    """Comes back in the ID token: it was made for this attempt."""
    verifier: str
    """Its hash goes to the provider: only this browser can redeem the code (RFC 7636, 4.1)."""

    @classmethod
    def new(cls) -> "OidcAttempt":
        """A new attempt."""
        return cls(*(secrets.token_urlsafe(32) for _ in range(3)))

    @classmethod
    def parse(cls, value: str) -> "OidcAttempt | None":
        """Of its cookie's value; None where it is none."""
        parts = value.split(".")
        proper = len(parts) == 3 and all(len(part) == 43 and part.isascii() for part in parts)
        return cls(*parts) if proper else None

    @property
    def value(self) -> str:
        """As the browser keeps it."""
        return ".".join(self)

    @property
    def challenge(self) -> str:
        """The verifier's hash (RFC 7636, 4.2: S256)."""
        return urlsafe_b64encode(sha256(self.verifier.encode()).digest()).rstrip(b"=").decode()

    def is_answered_by(self, state: str) -> bool:
        """Whether an answer with this ``state`` is for this attempt."""
        return hmac.compare_digest(state.encode("utf-8", "surrogatepass"), self.state.encode())


def _readable(url: str) -> str:
    urlsplit(url)  # raises ValueError
    return url


_Url = Annotated[str, StringConstraints(pattern=r"^[!-~]+$"), AfterValidator(_readable)]
"""A URL as it may stand in a header: no blank, no line's end."""


class _Metadata(BaseModel):
    """What is used of a discovery document."""

    model_config = ConfigDict(extra="ignore")

    issuer: str
    authorization_endpoint: _Url
    token_endpoint: _Url
    jwks_uri: _Url
    end_session_endpoint: _Url | None = None
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)


class OidcPerson(NamedTuple):
    """Somebody whom the provider has signed in."""

    subject: str
    """Issuer and subject."""
    name: str
    role: Role | None
    """Of their groups; None: none of these has a role."""
    locale: str


class OidcProvider:
    """The provider that the settings name. Questions to it raise `UnavailableError` where it does not answer."""

    def __init__(self, settings: WallSettings, clock: Clock) -> None:
        self.issuer = settings.oidc_issuer
        self._settings = settings
        self._clock = clock
        self._roles = [(group, Role(role)) for group, _, role in (each.rpartition("=") for each in settings.oidc_roles)]
        self._http: aiohttp.ClientSession | None = None
        self._metadata: tuple[float, _Metadata] | None = None
        self._reading_metadata = asyncio.Lock()
        self._metadata_failures = 0
        self._keys: list[Key] = []
        self._keys_at = float("-inf")
        self._reading_keys = asyncio.Lock()
        self._exchanges = asyncio.Semaphore(EXCHANGES_AT_ONCE)

    async def close(self) -> None:
        """Ends its connections."""
        if self._http is not None:
            await self._http.close()

    async def begin_url(self, attempt: OidcAttempt, redirect_url: str, *, again: bool = False) -> str:
        """Where a browser signs in; ``again``: also where the provider knows it already."""
        metadata = await self._discover()
        query = {
            "response_type": "code",
            "client_id": self._settings.oidc_client_id,
            "redirect_uri": redirect_url,
            "scope": " ".join(self._settings.oidc_scopes),
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": attempt.challenge,
            "code_challenge_method": "S256",
        }
        return _with_query(metadata.authorization_endpoint, query | ({"prompt": "login"} if again else {}))

    async def end_url(self, origin: str) -> str | None:
        """Where a browser signs out, and is led back to ``origin`` (RP-Initiated Logout 1.0); None: nowhere."""
        try:
            metadata = await self._discover()
        except UnavailableError:
            return None
        if metadata.end_session_endpoint is None:
            return None
        query = {"client_id": self._settings.oidc_client_id, "post_logout_redirect_uri": f"{origin}/"}
        return _with_query(metadata.end_session_endpoint, query)

    async def redeem(self, code: str, attempt: OidcAttempt, redirect_url: str) -> OidcPerson:
        """Who has signed in, by the code that came back. Raises `UnauthorizedError`."""
        metadata = await self._discover()
        settings = self._settings
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_url,
            "code_verifier": attempt.verifier,
            "client_id": settings.oidc_client_id,
        }
        headers = {}
        secret = settings.oidc_client_secret.get_secret_value()
        if secret and "client_secret_basic" in metadata.token_endpoint_auth_methods_supported:
            # RFC 6749, 2.3.1: both are percent-encoded first.
            login, password = (quote(each, safe="") for each in (settings.oidc_client_id, secret))
            headers["Authorization"] = aiohttp.encode_basic_auth(login, password)
        elif secret:
            form["client_secret"] = secret
        async with self._exchanges:
            answer = await self._ask("POST", metadata.token_endpoint, data=form, headers=headers)
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise UnauthorizedError("the identity provider gave no ID token")
        return self._person(await self.claims(token, attempt.nonce))

    async def claims(self, token: str, nonce: str) -> Mapping[str, Any]:
        """The claims of an ID token that is valid now (Core, 3.1.3.7). Raises `UnauthorizedError`."""
        try:
            header = jws.extract_compact(token.encode()).headers()
            decoded = await self._verified(token, header)
            jwt.JWTClaimsRegistry(
                now=self._clock.now_us() // 1_000_000,
                leeway=SKEW_SECONDS,
                iss={"essential": True, "value": self.issuer},
                aud={"essential": True, "value": self._settings.oidc_client_id},
                sub={"essential": True},
                exp={"essential": True},
                iat={"essential": True},
                nonce={"essential": True, "value": nonce},
            ).validate(decoded)
        except (JoseError, ValueError, TypeError, RecursionError) as error:
            raise UnauthorizedError(f"the identity provider's token is not valid: {error}") from error
        several = isinstance(decoded["aud"], list) and len(decoded["aud"]) > 1
        if decoded.get("azp", None if several else self._settings.oidc_client_id) != self._settings.oidc_client_id:
            raise UnauthorizedError("the identity provider's token is for another client")
        return decoded

    def _person(self, claims: Mapping[str, Any]) -> OidcPerson:
        given = claims.get(self._settings.oidc_groups_claim)
        groups = given if isinstance(given, list | dict) else [given]
        roles = [role for group, role in self._roles if group in groups]
        name = claims.get(self._settings.oidc_name_claim)
        return OidcPerson(
            subject=f"{self.issuer} {claims['sub']}",
            # JSON may hold half surrogate pairs, which no answer and no event can carry.
            name=str(name).encode(errors="replace").decode() if isinstance(name, str | int) else "",
            role=max(roles, key=_reach, default=None),
            locale=str(claims.get("locale", ""))[:2].lower(),
        )

    async def _verified(self, token: str, header: Mapping[str, Any]) -> dict[str, Any]:
        """Raises `JoseError` where no key of the provider's has signed it."""
        asked_at = self._keys_at
        try:
            return self._decoded(token, header)
        except JoseError:
            async with self._reading_keys:
                if self._keys_at == asked_at:
                    await self._read_keys()
            return self._decoded(token, header)

    def _decoded(self, token: str, header: Mapping[str, Any]) -> dict[str, Any]:
        named = header.get("kid")
        last: JoseError = JoseError("no key of the provider's has signed it")
        for key in self._keys:
            if named is not None and key.kid != named:
                continue
            try:
                return dict(jwt.decode(token, key, algorithms=ALGORITHMS).claims)
            except JoseError as error:
                last = error
        raise last

    async def _read_keys(self) -> None:
        now = self._clock.monotonic()
        if now - self._keys_at < KEYS_SPACING_SECONDS:
            return
        answer = await self._ask("GET", (await self._discover()).jwks_uri)
        listed = answer.get("keys")
        self._keys = [key for each in (listed if isinstance(listed, list) else ()) if (key := _public_key(each))]
        self._keys_at = now

    async def _discover(self) -> _Metadata:
        """The metadata. Who asks while it is read waits for that reading, also where it fails: anybody may ask."""
        failures = self._metadata_failures
        async with self._reading_metadata:
            if self._metadata is not None and self._clock.monotonic() - self._metadata[0] < METADATA_SECONDS:
                return self._metadata[1]
            if self._metadata_failures != failures:
                raise UnavailableError("the identity provider does not answer; try again shortly")
            try:
                return await self._read_metadata()
            except UnavailableError:
                self._metadata_failures += 1
                raise

    async def _read_metadata(self) -> _Metadata:
        now = self._clock.monotonic()
        answer = await self._ask("GET", f"{self.issuer.rstrip('/')}/.well-known/openid-configuration")
        try:
            found = _Metadata.model_validate(answer)
        except ValidationError as error:
            raise UnavailableError("the identity provider's discovery document cannot be read") from error
        if found.issuer != self.issuer:
            raise UnavailableError(f"the identity provider calls itself {found.issuer[:200]!r}, not {self.issuer!r}")
        scheme = urlsplit(self.issuer).scheme
        if any(urlsplit(url).scheme not in ("https", scheme) for url in _endpoints(found)):
            raise UnavailableError("the identity provider names an endpoint without https")
        self._metadata = now, found
        return found

    async def _ask(self, method: str, url: str, **more: Any) -> dict[str, Any]:
        """A JSON object; raises `UnauthorizedError` where the provider refuses the code."""
        if self._http is None:
            timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
            self._http = aiohttp.ClientSession(timeout=timeout, trust_env=True)
        try:
            async with self._http.request(method, url, allow_redirects=False, **more) as response:
                body = bytearray()
                async for chunk in response.content.iter_any():
                    body += chunk
                    if len(body) > MAX_ANSWER_BYTES:
                        raise UnavailableError("the identity provider's answer is too large")
            answer = json.loads(body)
        except (aiohttp.ClientError, TimeoutError, ValueError, RecursionError) as error:
            log.warning("front.provider_away", url=url, error=str(error) or type(error).__name__)
            raise UnavailableError("the identity provider does not answer; try again shortly") from error
        if method == "POST" and response.status in (400, 401):
            raise UnauthorizedError(f"the identity provider does not take the code: {str(answer)[:200]}")
        if response.status != 200 or not isinstance(answer, dict):
            log.warning("front.provider_away", url=url, status=response.status)
            raise UnavailableError("the identity provider does not answer as it should; try again shortly")
        return answer


def _endpoints(metadata: _Metadata) -> tuple[str, ...]:
    named = (metadata.authorization_endpoint, metadata.token_endpoint, metadata.jwks_uri)
    return named + ((metadata.end_session_endpoint,) if metadata.end_session_endpoint else ())


def _public_key(value: Any) -> Key | None:
    """A key that signs; None for others, and for those of kinds that are not known here (RFC 7517, 5)."""
    if not isinstance(value, dict) or value.get("use", "sig") != "sig":
        return None
    try:
        key = import_key(value)
    except (JoseError, ValueError, TypeError, KeyError):  # KeyError: a curve that is not known
        return None
    return key if isinstance(key, RSAKey | ECKey | OKPKey) else None


def _with_query(url: str, query: Mapping[str, str]) -> str:
    return f"{url}{'&' if urlsplit(url).query else '?'}{urlencode(query)}"


def _reach(role: Role) -> tuple[int, int]:
    """Orders roles by what they include."""
    return sum(Actor("", role).may(each) for each in Role), len(ROLE_RIGHTS[role])
