"""HTTPS by setting: the certificate is taken anew without a restart, and what is not encrypted is said."""

import asyncio
import ssl
from pathlib import Path

import aiohttp
import pytest
from structlog.testing import capture_logs

from services.contracts.permissions import Role
from services.mesh.certificates import issue
from services.mesh.settings import MeshSettings, SettingsError
from services.wall.front.auth import accounts, passwords
from services.wall.front.http.tls import ServedCertificate
from services.wall.settings import WallSettings
from tests.wall.front.running import running_front

PASSWORD = "correct horse battery"


def kept(folder: Path) -> Path:
    """An accounts file with one person in it."""
    path = folder / "accounts.toml"
    hashed = passwords.hash_password(PASSWORD)
    accounts.write_accounts(path, [accounts.Account(name="ani", role=Role.ADMIN, password=hashed)])
    return path


async def serial(port: int, ca: Path) -> str:
    """The number of the certificate that a new connection is shown."""
    context = ssl.create_default_context(cafile=str(ca))
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    shown = writer.get_extra_info("peercert")
    writer.close()
    return str(shown["serialNumber"])


async def test_https_is_spoken_by_setting_and_a_changed_certificate_is_taken_without_a_restart(
    mesh_settings: MeshSettings, tmp_path: Path
) -> None:
    made = issue(tmp_path / "tls", [])
    async with running_front(
        mesh_settings, https_cert=made.certificate, https_key=made.key, accounts_file=kept(tmp_path)
    ) as front:
        port = int(front.url.rpartition(":")[2])
        url = f"https://127.0.0.1:{port}"
        tls = ssl.create_default_context(cafile=str(made.ca))
        async with aiohttp.ClientSession() as client:
            form = {"name": "ani", "password": PASSWORD}
            async with client.get(f"{url}/", ssl=tls) as page:
                assert page.headers["Strict-Transport-Security"] == "max-age=31536000"
                assert "exposed" not in await page.text()
            async with client.post(f"{url}/", data=form, ssl=tls, allow_redirects=False) as response:
                assert response.status == 303
                assert all("Secure" in cookie for cookie in response.headers.getall("Set-Cookie"))
            with pytest.raises(aiohttp.ClientError):
                await client.get(f"http://127.0.0.1:{port}/")
        first = await serial(port, made.ca)
        issue(tmp_path / "tls", [])
        async with asyncio.timeout(90):
            while await serial(port, made.ca) == first:
                await asyncio.sleep(0.05)


async def test_a_password_in_the_clear_is_warned_of_in_the_page_and_in_the_log_but_not_on_this_machine(
    mesh_settings: MeshSettings, tmp_path: Path
) -> None:
    async with running_front(mesh_settings, accounts_file=kept(tmp_path), trusted_proxies=("127.0.0.1",)) as front:
        far = {"X-Forwarded-For": "192.0.2.7"}
        for headers, exposed in (({}, False), (far, True), (far | {"X-Forwarded-Proto": "https"}, False)):
            async with front.http.get("/", headers=headers) as page:
                assert ('class="exposed"' in await page.text()) is exposed
                assert ("Strict-Transport-Security" in page.headers) is ("X-Forwarded-Proto" in headers)
            wrong = {"name": "ani", "password": "not it"}
            with capture_logs() as logs:
                async with front.http.post("/", data=wrong, headers=headers) as page:
                    assert ('class="exposed"' in await page.text()) is exposed
            assert ("front.password_in_the_clear" in [entry["event"] for entry in logs]) is exposed


def test_half_a_certificate_is_not_taken(tmp_path: Path) -> None:
    made, other = issue(tmp_path / "tls", []), issue(tmp_path / "other", [])
    served = ServedCertificate(made.certificate, made.key)
    assert not served.look()
    made.certificate.write_bytes(other.certificate.read_bytes())
    assert not served.look()
    assert not served.look()
    made.key.write_bytes(other.key.read_bytes())
    assert served.look()
    made.key.unlink()
    assert not served.look()


def test_a_certificate_that_cannot_be_used_is_refused_at_the_start(tmp_path: Path) -> None:
    made, other = issue(tmp_path / "tls", []), issue(tmp_path / "other", [])
    for certificate, key in ((made.certificate, other.key), (tmp_path / "none.pem", made.key)):
        with pytest.raises(SettingsError, match="PANTAU_WALL_HTTPS_CERT"):
            ServedCertificate(certificate, key)
    with pytest.raises(SettingsError, match="go together"):
        WallSettings.load({"PANTAU_WALL_HTTPS_CERT": str(made.certificate)})
