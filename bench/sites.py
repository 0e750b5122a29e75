"""A hub and one or two owners as network namespaces: what crosses the line between them, and how soon a change counts.

Each runs `pantau up`; owners have simulated cameras. The bench enters the hub's namespace, as its people do. All bytes
of an owner's link are counted, headers too. As root only.
"""

import asyncio
import ctypes
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import aiohttp

from bench.machines import ip, ip_if_there, kill_all_in
from bench.report import table
from bench.whep import Viewer

RUN: Final = f"pantau{os.getpid()}"
"""Each run has names and a network of its own: what a killed one left is in nobody's way."""
NETWORK: Final = f"10.232.{os.getpid() % 254 + 1}"
HUB_ADDRESS: Final = f"{NETWORK}.1"
URL: Final = "http://127.0.0.1:8080"
CAMERAS: Final = 2
"""Of each owner."""
RIGHTS: Final = ("live", "playback", "clip", "evidence")
EXPORT_SECONDS: Final = 10
WRITTEN_SECONDS: Final = 5
"""Footage older than this is on the owner's disk."""
PATIENCE_SECONDS: Final = 240.0
LOOK_SECONDS: Final = 0.2
SETTLE_SECONDS: Final = 10.0
"""After a change, until the line carries what it carries from then on."""
_CLONE_NEWNET: Final = 0x40000000


class Crossed(NamedTuple):
    """Bytes at an owner's link."""

    to_hub: int
    from_hub: int


class Party:
    """A namespace with an address, and `pantau up` in it."""

    def __init__(self, name: str, number: int, folder: Path) -> None:
        self.name = name
        self.namespace = f"{RUN}-{name}"
        self.address = f"{NETWORK}.{number}"
        self._folder = folder / name
        self._up: asyncio.subprocess.Process | None = None
        self._environ = os.environ | {
            "PANTAU_SITE": name,
            "PANTAU_DATA": str(self._folder),
            "PANTAU_WALL_HTTP": URL.removeprefix("http://"),
            "PANTAU_WALL_RELAYS": "1",
            "PANTAU_UP_DEMO_STORY": "false",
        }
        self._folder.mkdir()

    def make(self) -> None:
        """The namespace. The hub's has the bridge that the others' links go to."""
        ip("netns", "add", self.namespace)
        inside = "br0"
        if self.address == HUB_ADDRESS:
            ip("-n", self.namespace, "link", "add", inside, "type", "bridge")
        else:
            inside, outside = "eth0", f"to-{self.name}"
            hub = f"{RUN}-hub"
            ip("link", "add", outside, "netns", hub, "type", "veth", "peer", inside, "netns", self.namespace)
            ip("-n", hub, "link", "set", outside, "master", "br0", "up")
        ip("-n", self.namespace, "addr", "add", f"{self.address}/24", "dev", inside)
        for link in (inside, "lo"):
            ip("-n", self.namespace, "link", "set", link, "up")

    async def start(self, cameras: int) -> None:
        """Runs `pantau up`, with so many cameras."""
        demo = ("--demo", str(cameras)) if cameras else ()
        with (self._folder / "up.log").open("ab") as log:
            self._up = await asyncio.create_subprocess_exec(
                *self._command("up", *demo), env=self._environ, stdout=log, stderr=log
            )

    async def remove(self) -> None:
        """Ends it, and takes the namespace away, with the link."""
        if self._up is not None and self._up.returncode is None:
            self._up.terminate()
            await self._up.wait()
        await kill_all_in(self.namespace)
        ip_if_there("netns", "del", self.namespace)

    async def answers(self) -> bool:
        """Whether its wall does."""
        try:
            await self.pantau("cameras", "list", "--json")
        except RuntimeError:
            return False
        return True

    async def pantau(self, *arguments: str) -> str:
        """What another command there says; raises ``RuntimeError`` with its error."""
        process = await asyncio.create_subprocess_exec(
            *self._command(*arguments), env=self._environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        out, error = await process.communicate()
        if process.returncode:
            raise RuntimeError(error.decode())
        return out.decode()

    def cut(self, *, off: bool) -> None:
        """Takes the link away, or gives it back."""
        ip("-n", self.namespace, "link", "set", "eth0", "down" if off else "up")

    def crossed(self) -> Crossed:
        """What has crossed its link so far."""
        command = ["ip", "-n", self.namespace, "-s", "-j", "link", "show", "eth0"]
        stats = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)[0]["stats64"]
        return Crossed(stats["tx"]["bytes"], stats["rx"]["bytes"])

    def _command(self, *arguments: str) -> list[str]:
        return ["ip", "netns", "exec", self.namespace, sys.executable, "-m", "services.cli", *arguments]


@contextmanager
def entered(namespace: str) -> Iterator[None]:
    """Sockets that this thread makes in the block are of that namespace."""
    with Path("/proc/thread-self/ns/net").open() as own, Path(f"/run/netns/{namespace}").open() as other:
        _enter(other.fileno())
        try:
            yield
        finally:
            _enter(own.fileno())


def _enter(namespace: int) -> None:
    if ctypes.CDLL(None, use_errno=True).setns(namespace, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "a network namespace cannot be entered")


class Hub:
    """The hub's API, as one of its people."""

    def __init__(self, client: aiohttp.ClientSession) -> None:
        self.client = client

    async def cameras(self, site: str) -> list[dict[str, Any]] | None:
        """A joined site's cameras; None while the hub does not answer."""
        try:
            async with self.client.get(f"{URL}/api/v1/cameras", params={"site": site}) as answer:
                return list((await answer.json())["cameras"]) if answer.status == 200 else None
        except aiohttp.ClientError:
            return None

    async def is_online(self, site: str) -> bool:
        """Whether all its cameras are there and online."""
        return await self._all(site, "status", "online")

    async def is_away(self, site: str) -> bool:
        """Whether the hub says that the line is cut."""
        return await self._all(site, "reason", "site-away")

    async def is_gone(self, site: str) -> bool:
        """Whether the hub has none of its cameras any more."""
        return await self.cameras(site) == []

    async def _all(self, site: str, name: str, value: str) -> bool:
        """Whether the states of all its cameras say so."""
        found = await self.cameras(site) or []
        return [(camera["state"] or {}).get(name) for camera in found] == [value] * CAMERAS

    async def export(self, kind: str, camera: str) -> int:
        """Bytes of an export of `EXPORT_SECONDS`, fetched whole."""
        end = datetime.now(UTC) - timedelta(seconds=WRITTEN_SECONDS)
        begin = end - timedelta(seconds=EXPORT_SECONDS)
        job = {
            "kind": kind, "cameras": [camera], "from": begin.isoformat(), "to": end.isoformat(), "reason": "bench",
        }  # fmt: skip
        async with self.client.post(f"{URL}/api/v1/exports", json=job) as answer:
            if answer.status != 201:
                raise RuntimeError(await answer.text())
            place = URL + answer.headers["Location"]
        while True:
            async with self.client.get(place) as answer:
                state = await answer.json()
            if state["status"] == "done":
                return int(state["file"]["size_bytes"])
            if state["status"] not in ("waiting", "running"):
                raise RuntimeError(json.dumps(state))
            await asyncio.sleep(LOOK_SECONDS)


class Trial:
    """What was measured so far."""

    def __init__(self, hub: Hub) -> None:
        self.times: list[list[object]] = []
        self.line: list[list[object]] = []
        self._hub = hub

    async def told(self, what: str, owner: Party, holds: Callable[[str], Awaitable[bool]]) -> None:
        """Waits until the hub says so."""
        self.times.append([owner.name, what, await until(partial(holds, owner.name))])
        print(*self.times[-1], flush=True)

    @asynccontextmanager
    async def counted(self, what: str, owner: Party) -> AsyncIterator[None]:
        """Counts what crosses the owner's line in the block."""
        before, began_at = owner.crossed(), time.monotonic()
        yield
        after, seconds = owner.crossed(), time.monotonic() - began_at
        to_hub, from_hub = after.to_hub - before.to_hub, after.from_hub - before.from_hub
        self.line.append([what, seconds, to_hub, from_hub, to_hub * 8e-3 / seconds, from_hub * 8e-3 / seconds])
        print(*self.line[-1], flush=True)

    async def watch(self, owner: Party, camera: str, profile: str, seconds: float) -> None:
        """Counts while somebody at the hub watches a camera, from its first packet on."""
        came = asyncio.Event()
        viewer = Viewer(lambda _packet, _at: came.set())
        await viewer.open(self._hub.client, URL, camera, profile)
        async with asyncio.timeout(PATIENCE_SECONDS):
            await came.wait()
        async with self.counted(f"one {profile} is watched", owner):
            await asyncio.sleep(seconds)
        await viewer.close(self._hub.client, URL)
        await asyncio.sleep(SETTLE_SECONDS)


async def until(holds: Callable[[], Awaitable[bool]]) -> float:
    """Seconds until it holds."""
    began_at = time.monotonic()
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await holds():
            await asyncio.sleep(LOOK_SECONDS)
    return time.monotonic() - began_at


async def join(hub: Party, owner: Party, folder: Path, *, again: bool = False) -> None:
    """Invites, joins, and grants all `RIGHTS`, which stay granted until a site leaves."""
    file = folder / f"{owner.name}.invitation"
    file.unlink(missing_ok=True)
    replace = ["--replace"] if again else []
    await hub.pantau("site", "invite", owner.name, "--address", HUB_ADDRESS, "-o", str(file), *replace)
    await owner.pantau("site", "join", str(file))
    if not again:
        await owner.pantau("site", "grant", "all", *(f"--right={right}" for right in RIGHTS))


@asynccontextmanager
async def parties(folder: Path, owners: list[str]) -> AsyncIterator[list[Party]]:
    """The hub and the owners, running; afterwards all of it is gone."""
    made = [Party(name, number, folder) for number, name in enumerate(["hub", *owners], start=1)]
    try:
        for party in made:
            party.make()
        for party in made:
            await party.start(0 if party is made[0] else CAMERAS)
        for party in made:
            await until(party.answers)
        yield made
    finally:
        for party in made:
            await party.remove()


async def run(*, quick: bool) -> None:
    """Prints the tables. ``quick``: one owner, and shorter."""
    if os.geteuid():
        print("network namespaces need root: not run")
        return
    seconds = 10 if quick else 30
    with tempfile.TemporaryDirectory(prefix="pantau-sites-") as name:
        folder = Path(name)
        async with parties(folder, ["mall"] if quick else ["mall", "tower"]) as (hub_party, *owners):
            with entered(hub_party.namespace):
                async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as client:
                    hub = Hub(client)
                    trial = Trial(hub)
                    for owner in owners:
                        await join(hub_party, owner, folder)
                        await trial.told("joined: its cameras are online", owner, hub.is_online)
                    sizes = await _count(trial, hub, owners[0], seconds)
                    await _change(trial, hub, hub_party, owners, folder)
    columns = ("what", "seconds", "to the hub, bytes", "from it, bytes", "to the hub, kbit/s", "from it, kbit/s")
    note = f"{CAMERAS} cameras; {len(owners)} owners. The clip has {sizes[0]} bytes, the bundle {sizes[1]}."
    print(table("What crosses the line of a joined site", columns, trial.line, note))
    print(table("How soon a change counts at the hub", ("site", "what", "seconds"), trial.times, ""))


async def _count(trial: Trial, hub: Hub, owner: Party, seconds: float) -> list[int]:
    """What crosses the line; returns the sizes of a clip and a bundle."""
    cameras = await hub.cameras(owner.name) or []
    camera = cameras[0]["id"]
    await asyncio.sleep(SETTLE_SECONDS)
    async with trial.counted("nobody watches", owner):
        await asyncio.sleep(seconds)
    for profile in ("sub", "main"):
        await trial.watch(owner, camera, profile, seconds)
    sizes = []
    for kind in ("clip", "bundle"):
        async with trial.counted(f"a {kind} of {EXPORT_SECONDS} s", owner):
            sizes.append(await hub.export(kind, camera))
    return sizes


async def _change(trial: Trial, hub: Hub, hub_party: Party, owners: list[Party], folder: Path) -> None:
    """Cuts the first owner's line, mends it, revokes, and joins again. The others' cameras stay."""
    owner, *others = owners
    owner.cut(off=True)
    await trial.told("cut: the hub says so", owner, hub.is_away)
    for other in others:
        if not await hub.is_online(other.name):
            raise RuntimeError(f"a cut line takes the cameras of {other.name}, too")
    owner.cut(off=False)
    await trial.told("mended: its cameras are online", owner, hub.is_online)
    await hub_party.pantau("site", "revoke", owner.name)
    await trial.told("revoked: its cameras are gone", owner, hub.is_gone)
    await join(hub_party, owner, folder, again=True)
    await trial.told("joined again: its cameras are online", owner, hub.is_online)
