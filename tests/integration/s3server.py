"""A real S3 server: moto's, as a process of its own, that checks signatures. It keeps objects in memory."""

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlencode

from services.recorder.archive.settings import ArchiveSettings
from tests.support.ports import free_port

BUCKET = "city-archive"
START_SECONDS = 30.0
_POLICY = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}'


class S3Server:
    """``async with`` starts and ends it; or `start` and `kill`."""

    def __init__(self, folder: Path) -> None:
        self._log = folder / "s3.log"
        self.port = free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.key_id = self.secret = ""
        self._process: subprocess.Popen[bytes] | None = None

    def settings(self, **options: object) -> ArchiveSettings:
        """That lead here."""
        return ArchiveSettings.model_validate(
            {
                "url": f"s3://{BUCKET}/footage",
                "endpoint": self.endpoint,
                "access_key_id": self.key_id,
                "secret_access_key": self.secret,
            }
            | options
        )

    async def start(self) -> None:
        """Comes back with an empty bucket and a new key."""
        # The first four requests need no key: they make one, and the bucket.
        environ = os.environ | {"INITIAL_NO_AUTH_ACTION_COUNT": "4"}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: ASYNC220 (starting takes no time)
                [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)],
                env=environ, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
        async with asyncio.timeout(START_SECONDS):
            while not await asyncio.to_thread(self._answers):
                assert self._process.poll() is None, self._log.read_text()
                await asyncio.sleep(0.1)
        await asyncio.to_thread(self._furnish)

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def _furnish(self) -> None:
        self._iam(Action="CreateUser", UserName="pantau")
        made = self._iam(Action="CreateAccessKey", UserName="pantau")
        self.key_id = re.findall(r"<AccessKeyId>(.*?)</AccessKeyId>", made)[0]
        self.secret = re.findall(r"<SecretAccessKey>(.*?)</SecretAccessKey>", made)[0]
        self._iam(Action="PutUserPolicy", UserName="pantau", PolicyName="all", PolicyDocument=_POLICY)
        self._send(urllib.request.Request(f"{self.endpoint}/{BUCKET}", method="PUT"), "s3")

    def _iam(self, **question: str) -> str:
        data = urlencode({"Version": "2010-05-08", **question}).encode()
        return self._send(urllib.request.Request(f"{self.endpoint}/", data=data), "iam")

    def _send(self, request: urllib.request.Request, service: str) -> str:
        scope = f"Credential=x/20260101/us-east-1/{service}/aws4_request"
        request.add_header("Authorization", f"AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=x")
        with urllib.request.urlopen(request, timeout=10) as answer:
            body: bytes = answer.read()
        return body.decode()

    def send_signal(self, number: signal.Signals) -> None:
        """To the process: SIGSTOP makes it a server that takes connections and never answers."""
        assert self._process is not None
        self._process.send_signal(number)

    async def kill(self) -> None:
        """Ends it, and what it holds."""
        if self._process is not None:
            self._process.kill()
            await asyncio.to_thread(self._process.wait)
            self._process = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.kill()
