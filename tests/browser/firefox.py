"""Debian's Firefox for tests, driven by WebDriver BiDi: Playwright drives only a Firefox of its own making."""

import asyncio
import json
import re
import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp

PREFERENCES = {
    "remote.active-protocols": 1,  # WebDriver BiDi
    # The page connects to itself: a machine without a network has no other address, and nobody resolves mDNS names.
    "media.peerconnection.ice.loopback": True,
    "media.peerconnection.ice.obfuscate_host_addresses": False,
    "media.autoplay.default": 0,
    # H.264 is never fetched: each run then meets a browser that has none yet.
    "media.gmp-manager.updateEnabled": False,
    "intl.accept_languages": "en-US",
    "app.normandy.enabled": False,
    "app.update.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "extensions.update.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
}
PATIENCE_SECONDS = 90.0
LOOK_SECONDS = 0.1


class Firefox:
    """One BiDi session (W3C WebDriver BiDi) with one tab. Commands go one after another; events are not read."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._sent = 0
        self._tab = ""

    async def begin(self) -> None:
        """Opens the session; returns when its tab is known."""
        await self._command("session.new", {"capabilities": {}})
        tree = await self._command("browsingContext.getTree", {})
        self._tab = tree["contexts"][0]["context"]

    async def open(self, url: str, before: str) -> None:
        """Loads ``url`` with the script ``before`` in the page before any of its own."""
        preload = {"functionDeclaration": f"() => {{ {before} }}", "contexts": [self._tab]}
        added = await self._command("script.addPreloadScript", preload)
        # A reload even where only the fragment differs from the page before.
        await self._command(
            "browsingContext.navigate", {"context": self._tab, "url": "about:blank", "wait": "complete"}
        )
        await self._command("browsingContext.navigate", {"context": self._tab, "url": url, "wait": "complete"})
        await self._command("script.removePreloadScript", {"script": added["script"]})

    async def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression, awaited where it is a promise, by way of JSON."""
        answer = await self._command(
            "script.evaluate",
            {
                "expression": f"(async () => JSON.stringify((await ({expression})) ?? null))()",
                "target": {"context": self._tab},
                "awaitPromise": True,
            },
        )
        assert answer["type"] == "success", f"{expression}: {answer}"
        return json.loads(answer["result"]["value"])

    async def until(self, expression: str) -> Any:
        """The first value of ``expression`` that is true in JavaScript's sense."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not (value := await self.evaluate(expression)):
            assert time.monotonic() < deadline, f"not in {PATIENCE_SECONDS:g} s: {expression}"
            await asyncio.sleep(LOOK_SECONDS)
        return value

    async def _command(self, method: str, parameters: dict[str, Any]) -> Any:
        self._sent += 1
        await self._socket.send_json({"id": self._sent, "method": method, "params": parameters})
        async with asyncio.timeout(PATIENCE_SECONDS):
            while (answer := await self._socket.receive_json()).get("id") != self._sent:
                pass
        assert answer["type"] == "success", f"{method}: {answer}"
        return answer["result"]


@asynccontextmanager
async def firefox() -> AsyncIterator[Firefox]:
    """The system's Firefox with a new profile, ended at the end of the block."""
    program = shutil.which("firefox-esr") or shutil.which("firefox")
    assert program is not None, "there is no Firefox: `make test` installs it"
    with tempfile.TemporaryDirectory(prefix="pantau-firefox-", ignore_cleanup_errors=True) as profile:
        _write_preferences(Path(profile))
        process = await asyncio.create_subprocess_exec(
            program, "--headless", "--no-remote", "--profile", profile, "--remote-debugging-port", "0",
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert process.stderr is not None
        try:
            url = await _bidi_url(process.stderr)
            drain = asyncio.create_task(process.stderr.read())
            async with aiohttp.ClientSession() as client, client.ws_connect(f"{url}/session", max_msg_size=0) as socket:
                browser = Firefox(socket)
                await browser.begin()
                yield browser
            drain.cancel()
        finally:
            with suppress(ProcessLookupError):  # it has ended by itself, which is told
                process.terminate()
            await process.wait()


def _write_preferences(profile: Path) -> None:
    lines = (f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in PREFERENCES.items())
    (profile / "user.js").write_text("".join(lines))


async def _bidi_url(stderr: asyncio.StreamReader) -> str:
    said: list[str] = []
    async with asyncio.timeout(PATIENCE_SECONDS):
        while line := (await stderr.readline()).decode():
            if found := re.search(r"BiDi listening on (ws://\S+)", line):
                return found[1]
            said.append(line)
    raise AssertionError(f"Firefox has ended: {''.join(said)[-2000:]}")
