"""Accounts in the registry: the first one, own passwords, and what a change of an account ends."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from services.contracts import totp
from services.mesh.settings import MeshSettings
from services.wall.front.auth import cookies
from tests.registry.running import registry
from tests.wall.front.auth.test_identity import basic, until
from tests.wall.front.running import RunningFront, running_front

pytestmark = pytest.mark.integration
PASSWORD = "benar kuda baterai"
NEXT = "lain sekali baterai"
Headers = dict[str, str]


async def signed_in(front: RunningFront, name: str, password: str = PASSWORD) -> Headers:
    """A browser's cookies after it has signed in, as headers."""
    async with front.http.post("/api/v1/sign-in", json={"name": name, "password": password}) as answer:
        assert answer.status == 204, await answer.text()
        value = answer.cookies[cookies.NAME].value
    front.http.cookie_jar.clear()
    return {"Cookie": f"{cookies.NAME}={value}"}


async def status(front: RunningFront, headers: Headers, path: str = "/api/v1/me") -> int:
    """What a GET is answered with."""
    async with front.http.get(path, headers=headers) as answer:
        return answer.status


async def add(front: RunningFront, headers: Headers, name: str, role: str) -> int:
    """Makes an account."""
    body = {"name": name, "role": role, "password": PASSWORD}
    async with front.http.post("/api/v1/accounts", json=body, headers=headers) as answer:
        return answer.status


@asynccontextmanager
async def city(mesh_settings: MeshSettings) -> AsyncIterator[tuple[RunningFront, Headers]]:
    """A registry, a front, and the cookie of its administrator citra; budi is an operator."""
    async with registry(mesh_settings), running_front(mesh_settings) as front:
        assert await add(front, {}, "citra", "admin") == 201
        citra = await signed_in(front, "citra")
        assert await add(front, citra, "budi", "operator") == 201
        yield front, citra


async def test_the_first_account_is_an_administrators_and_ends_the_time_without_accounts(
    mesh_settings: MeshSettings,
) -> None:
    async with registry(mesh_settings), running_front(mesh_settings) as front:
        assert await add(front, {}, "budi", "operator") == 422, "nobody could make accounts any more"
        assert await add(front, {}, "citra", "admin") == 201
        assert await add(front, {}, "dewi", "admin") == 401, "the machine's users are still administrators"
        citra = await signed_in(front, "citra")
        assert await add(front, citra, "citra", "viewer") == 409
        for change in ({"role": "viewer"}, {"disabled": True}):
            async with front.http.patch("/api/v1/accounts/citra", json=change, headers=citra) as answer:
                assert answer.status == 403, "the last administrator can lock everybody out"
        async with front.http.delete("/api/v1/accounts/citra", headers=citra) as answer:
            assert answer.status == 403


async def test_a_new_password_ends_all_sessions_but_the_one_that_gave_it(mesh_settings: MeshSettings) -> None:
    async with city(mesh_settings) as (front, _), running_front(mesh_settings) as other:
        here, there = await signed_in(front, "budi"), await signed_in(front, "budi")
        program = basic("budi", PASSWORD)
        assert await status(other, program) == 200
        async with front.http.put("/api/v1/me/password", json={"old": "salah", "new": NEXT}, headers=here) as answer:
            assert (answer.status, (await answer.json())["errors"][0]["field"]) == (422, "old")
        async with front.http.put("/api/v1/me/password", json={"old": PASSWORD, "new": NEXT}, headers=here) as answer:
            assert answer.status == 204, await answer.text()

        async def ended() -> bool:
            return [await status(each, who) for each in (front, other) for who in (there, program)] == [401] * 4

        await until(ended)
        assert [await status(each, here) for each in (front, other)] == [200, 200]
        assert await status(front, basic("budi", NEXT)) == 200


@pytest.mark.parametrize("change", [{"role": "viewer"}, {"disabled": True}, {"password": NEXT}, None])
async def test_a_changed_or_removed_account_ends_its_streams_at_every_front(
    mesh_settings: MeshSettings, change: dict[str, object] | None
) -> None:
    async with city(mesh_settings) as (front, citra), running_front(mesh_settings) as other:
        budi = await signed_in(other, "budi")
        async with other.http.get("/api/v1/events", headers=budi) as stream:
            assert stream.status == 200
            path = "/api/v1/accounts/budi"
            method = "PATCH" if change else "DELETE"
            async with front.http.request(method, path, json=change, headers=citra) as answer:
                assert answer.status == (200 if change else 204), await answer.text()
            await stream.content.read()  # to its end

        async def ended() -> bool:
            return await status(other, budi) == 401

        await until(ended)
        async with front.http.get("/api/v1/sessions?account=budi", headers=citra) as answer:
            assert (await answer.json())["sessions"] == []


async def test_accounts_are_an_administrators_business_and_their_hashes_nobodys(mesh_settings: MeshSettings) -> None:
    async with city(mesh_settings) as (front, citra):
        budi = await signed_in(front, "budi")
        assert await status(front, budi, "/api/v1/accounts") == 403
        async with front.http.get("/api/v1/accounts", headers=citra) as answer:
            text = await answer.text()
            assert [account["name"] for account in (await answer.json())["accounts"]] == ["budi", "citra"]
        assert "argon2" not in text
        async with front.http.patch("/api/v1/accounts/budi", json={"locale": "en"}, headers=citra) as answer:
            assert answer.status == 200
        assert await status(front, budi) == 200, "a language ends a session"


async def test_an_account_with_a_second_factor_takes_each_code_once(mesh_settings: MeshSettings) -> None:
    async with city(mesh_settings) as (front, citra):
        budi = await signed_in(front, "budi")
        path = "/api/v1/me/totp"
        async with front.http.post(path, headers=budi) as answer:
            secret = (await answer.json())["secret"]
        no_base32 = {"secret": "A" * 17, "code": "123456", "password": PASSWORD}
        async with front.http.put(path, json=no_base32, headers=budi) as answer:
            assert (answer.status, (await answer.json())["errors"][0]["field"]) == (422, "secret")
        step = int(front.service.clock.now_us() / 1e6) // totp.STEP_SECONDS
        confirmation = {"secret": secret, "code": totp.code_at(secret, step), "password": PASSWORD}
        async with front.http.put(path, json=confirmation, headers=budi) as answer:
            assert answer.status == 200, await answer.text()
            recovery = (await answer.json())["recovery_codes"]

        async def sign_in(code: str = "", device: str = "") -> tuple[int, str]:
            body = {"name": "budi", "password": PASSWORD, "code": code}
            known = {"Cookie": f"{cookies.DEVICE}={device}"}
            async with front.http.post("/api/v1/sign-in", json=body, headers=known) as answer:
                devices.update(morsel.value for morsel in answer.cookies.values() if morsel.key == cookies.DEVICE)
                front.http.cookie_jar.clear()
                return answer.status, (await answer.json())["code"] if answer.status != 204 else ""

        devices: set[str] = set()

        async def asks_for_a_code() -> bool:
            return await sign_in() == (401, "code-needed")

        await until(asks_for_a_code)
        assert await status(front, budi) == 200, "the session that switched it on ends"
        assert await status(front, basic("budi", PASSWORD)) == 401, "Basic goes past the second factor"
        assert await sign_in(confirmation["code"]) == (401, "unauthorized"), "a code counts twice"
        assert (await sign_in(recovery[0]))[0] == 204
        assert await sign_in(recovery[0]) == (401, "unauthorized")
        while (refused := await sign_in("000000"))[0] == 401:
            pass
        assert refused[0] == 429
        assert (await sign_in(recovery[1], devices.pop()))[0] == 204, "who knows the password uses up its owner's codes"
        async with front.http.post("/", data={"name": "budi", "password": PASSWORD}) as answer:
            assert 'name="code"' in await answer.text()
        async with front.http.patch("/api/v1/accounts/budi", json={"totp": None}, headers=citra) as answer:
            assert (await answer.json())["totp"] is False
        assert (await sign_in())[0] == 204
