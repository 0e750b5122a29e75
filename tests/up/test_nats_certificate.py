"""The embedded nats-server's certificate is renewed while it runs."""

import asyncio
import json
import shutil
import ssl
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from services.mesh.authority import Authority
from services.mesh.certificates import issue
from services.mesh.nats_server import NatsServer, config
from services.mesh.tasks import end
from services.up.nats_certificate import follow_certificate

pytestmark = pytest.mark.integration


async def shown(server: NatsServer) -> bytes:
    """The certificate that a new client is shown."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    assert json.loads((await reader.readline()).removeprefix(b"INFO "))["tls_required"]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    await writer.start_tls(context)
    found: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return found


async def test_a_renewed_certificate_is_taken_without_a_restart_and_one_that_does_not_fit_is_left(
    tmp_path: Path,
) -> None:
    former, renewed = issue(tmp_path / "former", []), issue(tmp_path / "renewed", [])
    files = tmp_path / "server.pem", tmp_path / "server.key"
    shutil.copy(former.certificate, files[0])
    shutil.copy(former.key, files[1])
    authority = Authority.open(tmp_path / "authority", "city")
    more = authority.server_lines(str(tmp_path / "accounts"))
    text = config(tmp_path / "jetstream", certificate=files, more=more)
    async with NatsServer(tmp_path / "nats", text=text) as server:
        failures = [OSError("no space left on device")]

        def text_of_now() -> str:
            if failures:
                raise failures.pop()
            return text

        following = asyncio.create_task(follow_certificate(server, files, text_of_now))
        before, pid = await shown(server), server.pid
        with capture_logs() as said:
            shutil.copy(renewed.certificate, files[0])
            while not any(line["event"] == "nats.certificate_kept" for line in said):
                await asyncio.sleep(0.05)
        assert await shown(server) == before
        shutil.copy(renewed.key, files[1])
        while await shown(server) == before:
            await asyncio.sleep(0.05)
        assert server.pid == pid
        await end([following])
