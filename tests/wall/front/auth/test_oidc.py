"""People sign in at a real identity provider: groups give roles, and sign-ins are as revocable as all others."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from joserfc import jws
from joserfc.jwk import ECKey, Key, OctKey, RSAKey
from yarl import URL

from services.contracts.errors import UnavailableError
from services.contracts.permissions import Role
from services.mesh.bus import Bus
from services.mesh.clock import ManualClock
from services.mesh.event_stream import ensure_stream
from services.mesh.settings import MeshSettings, SettingsError
from services.wall.front.auth import accounts
from services.wall.front.auth.oidc import KEYS_SPACING_SECONDS, SKEW_SECONDS, OidcAttempt, OidcProvider
from services.wall.front.http.errors import UnauthorizedError
from services.wall.settings import WallSettings
from tests.registry.running import registry
from tests.wall.front.auth.provider import PEOPLE, a_browser, authorized, oidc, running_provider, sign_in
from tests.wall.front.running import running_front


async def test_people_of_the_provider_get_the_role_of_their_groups_and_others_are_told_why_not(
    bus: Bus, mesh_settings: MeshSettings, tmp_path: Path
) -> None:
    await ensure_stream(bus)
    path, token = tmp_path / "accounts.toml", accounts.new_token()
    of_file = accounts.Account(name="sari", role=Role.ADMIN, token=accounts.hash_token(token))
    accounts.write_accounts(path, [of_file])
    admin = {"Authorization": f"Bearer {token}"}
    async with (
        running_provider() as issuer,
        registry(mesh_settings),
        running_front(mesh_settings, accounts_file=path, **oidc(issuer)) as front,
        a_browser(front) as http,
        a_browser(front) as other,
    ):
        async with http.get("/") as answer:
            assert "Sign in with SSO" in await answer.text()
        status, page = await sign_in(http, "u1")
        assert status == 200, page
        async with http.get("/api/v1/me") as answer:
            me = await answer.json()
        assert (me["name"], me["role"], me["by_provider"]) == ("budi", "operator", True)
        assert not me["password_changeable"]

        assert (await sign_in(other, "u2"))[0] == 200
        async with other.get("/api/v1/me") as answer:
            assert (await answer.json())["role"] == "admin", "of several roles the one with the most rights"
        for subject, said in (("u3", "none of the groups"), ("u4", "belongs to somebody else"), ("u5", "belongs to")):
            async with a_browser(front) as stranger:
                status, page = await sign_in(stranger, subject)
                assert (status, said in page) == (401, True), page

        # Disabled here: its sign-in ends, and the provider opens no other.
        async with other.patch("/api/v1/accounts/budi", json={"disabled": True}) as answer:
            assert answer.status == 200
        async with http.get("/api/v1/me") as answer:
            assert answer.status == 401
        assert (await sign_in(http, "u1"))[0] == 401
        # An account with a password of its own is nobody else's.
        made = {"name": "budi-baru", "role": "viewer", "password": "kata sandi panjang"}
        async with other.post("/api/v1/accounts", json=made) as answer:
            assert answer.status == 201
        assert (await sign_in(http, "u6"))[0] == 401

        async with other.post("/sign-out", allow_redirects=False) as answer:
            assert answer.status == 200
            leads = answer.headers["Refresh"]
        assert leads.startswith(f"0; url={issuer}/")
        assert "post_logout_redirect_uri" in leads
        async with other.get("/api/v1/me") as answer:
            assert answer.status == 401
        async with front.http.get("/api/v1/accounts", headers=admin) as answer:
            names = [each["name"] for each in (await answer.json())["accounts"]]
        assert names == ["sari", "budi", "budi-baru", "citra"]


async def test_an_account_stays_with_its_subject_though_names_change_and_takes_its_new_role(
    bus: Bus, mesh_settings: MeshSettings
) -> None:
    await ensure_stream(bus)
    async with registry(mesh_settings):
        for name, group, role in (("budi", "pantau-op", "operator"), ("budi.santoso", "pantau-admin", "admin")):
            person = {"sub": "u1", "preferred_username": name, "groups": [group]}
            async with running_provider(person, {**person, "sub": "u9"}) as issuer:
                settings = oidc(issuer) | {"oidc_issuer": issuer}
                async with running_front(mesh_settings, **settings) as front, a_browser(front) as http:
                    async with front.http.get("/api/v1/me") as answer:
                        assert answer.status == 401, "with a provider this machine's users are nobody special"
                    assert (await sign_in(http, "u1"))[0] == 200
                    async with http.get("/api/v1/me") as answer:
                        assert (await answer.json())["role"] == role
                    assert (await sign_in(http, "u9"))[0] == 401, "of the same name, and somebody else"


async def test_an_answer_for_another_browser_or_used_twice_signs_nobody_in(
    bus: Bus, mesh_settings: MeshSettings
) -> None:
    await ensure_stream(bus)
    async with (
        running_provider(*PEOPLE[:1]) as issuer,
        registry(mesh_settings),
        running_front(mesh_settings, **oidc(issuer)) as front,
        a_browser(front) as http,
        a_browser(front) as victim,
    ):
        back = await authorized(http, "u1")
        for address in (back, f"{back}x", "/oidc/callback", "/oidc/callback?error=access_denied"):
            async with victim.get(address) as answer:
                assert answer.status == 401, "sign-in forged across sites"
        async with http.get(f"{back}&iss=https://other.example") as answer:
            assert answer.status == 401
        async with http.get(back) as answer:
            assert answer.status == 401, "an attempt is good for one answer"
        back = await authorized(http, "u1")
        async with http.get(back) as answer:
            assert answer.status == 200
        async with http.get(back) as answer:
            assert answer.status == 401
        async with http.get(URL("/oidc/callback?state=%ff", encoded=True)) as answer:
            assert answer.status in (400, 401)
        status = 401
        while status == 401:
            async with victim.get("/oidc/callback") as answer:
                status = answer.status
        assert status == 429
        assert (await sign_in(http, "u1"))[0] == 200, "a stranger behind the same address keeps a known browser out"


class Keys:
    """What a provider publishes: a document and its keys, as a test has them."""

    def __init__(self) -> None:
        self.keys: list[Any] = []
        self.reads = 0
        self.discoveries = 0
        self.document: dict[str, Any] = {}
        self.token = ""

    async def discovery(self, _request: web.Request) -> web.Response:
        self.discoveries += 1
        return web.json_response(self.document)

    async def redeem(self, _request: web.Request) -> web.Response:
        return web.json_response({"id_token": self.token})

    async def jwks(self, _request: web.Request) -> web.Response:
        self.reads += 1
        return web.json_response({"keys": self.keys})


@pytest.fixture
async def published() -> Any:
    keys = Keys()
    app = web.Application()
    app.router.add_get("/.well-known/openid-configuration", keys.discovery)
    app.router.add_get("/jwks", keys.jwks)
    app.router.add_post("/token", keys.redeem)
    async with TestServer(app) as server:
        issuer = str(server.make_url("")).rstrip("/")
        keys.document = {
            "issuer": issuer,
            "authorization_endpoint": f"{issuer}/authorize?tenant=kota",
            "token_endpoint": f"{issuer}/token",
            "jwks_uri": f"{issuer}/jwks",
        }
        yield keys


def provider_of(keys: Keys, clock: ManualClock) -> OidcProvider:
    return OidcProvider(WallSettings(**oidc(keys.document["issuer"])), clock)


def token(key: Key, keys: Keys, now_s: int, *, alg: str = "RS256", kid: str | None = "k1", **claims: Any) -> str:
    said = {"iss": keys.document["issuer"], "aud": "pantau", "sub": "u1", "nonce": "n", "iat": now_s, "exp": now_s + 60}
    header = {"alg": alg} | ({"kid": kid} if kid else {})
    given = {name: value for name, value in (said | claims).items() if value is not None}
    return jws.serialize_compact(header, json.dumps(given), key, algorithms=[alg])


async def test_a_token_is_held_to_issuer_client_nonce_and_time_with_a_minute_of_skew(published: Keys) -> None:
    clock = ManualClock(1_772_000_000_000_000)
    now = clock.now_us() // 1_000_000
    key = RSAKey.generate_key(2048, {"kid": "k1"})
    curve = ECKey.generate_key("P-256", {"kid": "k2"})
    unknown_curve = {"kty": "EC", "crv": "BP-256", "x": "AQ", "y": "AQ"}
    unusable = [{"kty": "none-such"}, unknown_curve, {**curve.as_dict(private=False), "use": "enc"}, "junk"]
    published.keys = [*unusable, key.as_dict(private=False), curve.as_dict(private=False)]
    provider = provider_of(published, clock)
    for good in (
        token(key, published, now),
        token(key, published, now, aud=["pantau", "other"], azp="pantau"),
        token(key, published, now, kid=None),
        token(curve, published, now, kid="k2", alg="ES256"),
        token(key, published, now + SKEW_SECONDS - 1),
        token(key, published, now - 60 - SKEW_SECONDS + 1),
    ):
        assert (await provider.claims(good, "n"))["sub"] == "u1"
    secret = OctKey.import_key(b"rahasia-rahasia-rahasia-rahasia!")
    for bad in (
        token(key, published, now, iss="https://other.example"),
        token(key, published, now, aud="other"),
        token(key, published, now, aud=["pantau", "other"]),
        token(key, published, now, azp="other"),
        token(key, published, now, nonce="another"),
        token(key, published, now, nonce=None),
        token(key, published, now, sub=None),
        token(key, published, now, exp=None),
        token(key, published, now + SKEW_SECONDS + 1),
        token(key, published, now - 60 - SKEW_SECONDS - 1),
        token(secret, published, now, alg="HS256"),
        token(RSAKey.generate_key(2048), published, now),
        "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ1MSJ9.",
        "not a token",
        "",
    ):
        with pytest.raises(UnauthorizedError):
            await provider.claims(bad, "n")
    await provider.close()


async def test_keys_that_the_provider_changes_are_read_when_a_token_names_one_and_not_for_every_stranger(
    published: Keys,
) -> None:
    clock = ManualClock(1_772_000_000_000_000)
    now = clock.now_us() // 1_000_000
    first, second = (RSAKey.generate_key(2048, {"kid": name}) for name in ("k1", "k2"))
    published.keys = [first.as_dict(private=False)]
    provider = provider_of(published, clock)
    assert await provider.claims(token(first, published, now), "n")
    published.keys = [second.as_dict(private=False)]
    for _ in range(5):
        with pytest.raises(UnauthorizedError):
            await provider.claims(token(second, published, now, kid="k2"), "n")
    assert published.reads == 1
    clock.advance(KEYS_SPACING_SECONDS)
    assert await provider.claims(token(second, published, now, kid="k2"), "n")
    with pytest.raises(UnauthorizedError):
        await provider.claims(token(first, published, now), "n")
    assert published.reads == 2
    await provider.close()


async def test_a_provider_that_calls_itself_otherwise_or_is_away_signs_nobody_in(published: Keys) -> None:
    clock = ManualClock()
    attempt = OidcAttempt.new()
    provider = provider_of(published, clock)
    url = await provider.begin_url(attempt, "https://wall.example/oidc/callback", again=True)
    assert url.startswith(f"{published.document['issuer']}/authorize?tenant=kota&")
    assert "prompt=login" in url
    assert attempt.verifier not in url
    assert await provider.end_url("https://wall.example") is None
    await provider.close()
    for change in (
        {"issuer": "https://other.example"},
        {"jwks_uri": None},
        {"token_endpoint": "ftp://a.example/"},
        {"authorization_endpoint": "https://[::1"},
        {"end_session_endpoint": "https://a.example/\r\nSet-Cookie: a=b"},
    ):
        other = provider_of(published, clock)
        published.document, before = published.document | change, published.document
        with pytest.raises(UnavailableError):
            await other.begin_url(attempt, "https://wall.example/oidc/callback")
        assert await other.end_url("https://wall.example") is None
        published.document = before
        await other.close()


async def test_strangers_who_begin_all_at_once_ask_the_provider_once(published: Keys) -> None:
    attempt = OidcAttempt.new()
    url = "https://wall.example/oidc/callback"
    provider = provider_of(published, ManualClock())
    published.document, before = {}, published.document
    found = await asyncio.gather(*(provider.begin_url(attempt, url) for _ in range(20)), return_exceptions=True)
    assert {type(each) for each in found} == {UnavailableError}
    assert published.discoveries == 1, "the provider's trouble grows with each who waits for it"
    published.document = before
    assert len(set(await asyncio.gather(*(provider.begin_url(attempt, url) for _ in range(20))))) == 1
    assert published.discoveries == 2
    await provider.close()


@pytest.mark.parametrize(
    ("claims", "name", "role"),
    [
        ({"preferred_username": "budi", "groups": "pantau-op"}, "budi", Role.OPERATOR),
        ({"preferred_username": 198001, "groups": {"pantau-op": {"kota": 1}}}, "198001", Role.OPERATOR),
        ({"preferred_username": None, "groups": 5}, "", None),
        ({"preferred_username": ["budi"], "groups": [["pantau-op"], {}, None]}, "", None),
        ({"preferred_username": "budi\ud800"}, "budi?", None),
    ],
)
async def test_claims_of_any_shape_name_somebody_or_nobody(
    published: Keys, claims: dict[str, Any], name: str, role: Role | None
) -> None:
    clock = ManualClock(1_772_000_000_000_000)
    key = ECKey.generate_key("P-256", {"kid": "k1"})
    published.keys = [key.as_dict(private=False)]
    published.token = token(key, published, clock.now_us() // 1_000_000, alg="ES256", **claims)
    provider = provider_of(published, clock)
    person = await provider.redeem("code", OidcAttempt("s", "n", "v"), "https://wall.example/oidc/callback")
    assert (person.name, person.role) == (name, role), "None is nobody's name"
    await provider.close()


def test_the_challenge_is_that_of_rfc_7636() -> None:
    attempt = OidcAttempt("s" * 43, "n" * 43, "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")  # appendix B
    assert attempt.challenge == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    assert OidcAttempt.parse(attempt.value) == attempt
    assert OidcAttempt.parse("a.b.c") is None
    assert not attempt.is_answered_by("\udcff")


@pytest.mark.parametrize(
    "wrong",
    [
        {"oidc_issuer": "sso.example"},
        {"oidc_issuer": "http://sso.example"},
        {"oidc_issuer": "https://sso.example?a"},
        {"oidc_roles": ("staf",)},
        {"oidc_roles": ("staf=boss",)},
        {"oidc_roles": ()},
        {"oidc_client_id": ""},
        {"oidc_scopes": ("profile",)},
        {"oidc_redirect_url": "https://wall.example/"},
    ],
)
def test_settings_that_cannot_work_are_refused_at_the_start(wrong: dict[str, Any]) -> None:
    environ = {
        "PANTAU_WALL_OIDC_ISSUER": "https://sso.example",
        "PANTAU_WALL_OIDC_CLIENT_ID": "pantau",
        "PANTAU_WALL_OIDC_ROLES": "CN=staf=operator",
    }
    assert WallSettings.load(environ).oidc_roles == ("CN=staf=operator",)
    texts = {name: ",".join(value) if isinstance(value, tuple) else value for name, value in wrong.items()}
    changed = {f"PANTAU_WALL_{name.upper()}": text for name, text in texts.items()}
    with pytest.raises(SettingsError):
        WallSettings.load(environ | changed)
