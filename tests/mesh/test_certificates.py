"""The CA of the first day, and TLS to nats-server: proven, or not at all."""

import asyncio
from pathlib import Path

import pytest
from cryptography import x509

from services.contracts.errors import InvalidInputError
from services.mesh.bus import Bus
from services.mesh.certificates import CertificateError, issue
from services.mesh.nats_server import NatsServer, config
from services.mesh.settings import MeshSettings, SettingsError
from tests.flushed import flushed


def test_a_certificate_is_made_anew_by_the_same_ca_and_private_keys_are_for_their_owner(tmp_path: Path) -> None:
    first = issue(tmp_path, ["wall.malang.example", "192.0.2.10"])
    ca, certificate = first.ca.read_bytes(), first.certificate.read_bytes()
    assert {"wall.malang.example", "192.0.2.10", "localhost", "127.0.0.1"} <= set(first.names)
    again = issue(tmp_path, [])
    assert again.ca.read_bytes() == ca
    assert again.certificate.read_bytes() != certificate
    x509.load_pem_x509_certificate(certificate).verify_directly_issued_by(x509.load_pem_x509_certificate(ca))
    assert [path.name for path in sorted(tmp_path.iterdir()) if not path.stat().st_mode & 0o077] == [
        "ca.key",
        "server.key",
    ]


def test_what_cannot_be_made_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="not a name"):
        issue(tmp_path, ["not a name"])
    issue(tmp_path, [])
    (tmp_path / "ca.key").unlink()
    with pytest.raises(CertificateError, match=r"only one of ca\.pem and ca\.key"):
        issue(tmp_path, [])


async def test_the_bus_speaks_tls_with_a_server_that_proves_itself_and_with_no_other(tmp_path: Path) -> None:
    tls, other = issue(tmp_path / "tls", []), issue(tmp_path / "other", [])
    text = config(tmp_path / "jetstream", certificate=(tls.certificate, tls.key))
    async with NatsServer(tmp_path / "nats", text=text) as server, NatsServer(tmp_path / "plain") as plain:
        url = f"nats://127.0.0.1:{server.port}"
        bus = await Bus.connect(MeshSettings(nats_url=url, nats_ca=tls.ca), "test")
        await flushed(bus.client)
        heard: asyncio.Queue[bytes] = asyncio.Queue()
        await bus.subscribe_direct("media", heard.put_nowait)
        await flushed(bus.client)
        bus.publish_media("media", b"x" * 3_000_000)
        async with asyncio.timeout(60):
            assert len(await heard.get()) == 3_000_000
        await bus.close()
        for settings, trace in (
            (MeshSettings(nats_url=url, nats_ca=other.ca), "certificate"),
            (MeshSettings(nats_url=plain.url, nats_ca=tls.ca), "does not offer TLS"),
        ):
            connecting = asyncio.create_task(Bus.connect(settings, "test"))
            done, _ = await asyncio.wait((connecting,), timeout=1.0)
            assert not done, trace
            connecting.cancel()


def test_settings_of_tls_that_cannot_be_used_are_refused(tmp_path: Path) -> None:
    made = issue(tmp_path, [])
    assert MeshSettings().nats_tls() is None
    assert MeshSettings(nats_ca=made.ca, nats_cert=made.certificate, nats_key=made.key).nats_tls() is not None
    for settings, says in (
        (MeshSettings(nats_cert=made.certificate, nats_key=made.key), "need nats_ca"),
        (MeshSettings(nats_ca=made.ca, nats_cert=made.certificate), "go together"),
        (MeshSettings(nats_ca=tmp_path / "none.pem"), "cannot be used"),
        (MeshSettings(nats_ca=made.key), "cannot be used"),
    ):
        with pytest.raises(SettingsError, match=says):
            settings.nats_tls()
