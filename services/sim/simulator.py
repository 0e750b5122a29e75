"""The simulated cameras together: their streams, listeners and faults. Tests and ``pantau sim`` use it."""

import asyncio
from collections.abc import Iterable
from contextlib import AsyncExitStack
from dataclasses import replace
from time import monotonic
from types import TracebackType
from typing import Final, Self
from urllib.parse import quote

from services.contracts.models import DEMO_TAG, Camera, Credentials, Location, Profile, ProfileName
from services.mesh.admin import PortTakenError
from services.mesh.log import get_logger
from services.sim.auth import Authenticator
from services.sim.clip import ClipKey
from services.sim.connection import RtspServerConnection
from services.sim.faults import Fault, FaultSetting
from services.sim.pictures.places import camera_id, place
from services.sim.settings import SimSettings
from services.sim.specs import PRESETS, AudioSpec, VideoSpec
from services.sim.stream import SimulatedStream
from services.sim.studio import Studio, default_cache
from services.sim.transport import Counters, UdpPorts

log = get_logger()
_PROFILES: Final[tuple[ProfileName, ...]] = ("main", "sub")
_GOLDEN_RATIO: Final = 0.6180339887


def phase_seconds(number: int, loop_seconds: int) -> float:
    """The position in its loop at which a camera starts. It differs per camera, so that keyframes are spread.

    Frame ``n`` is sent ``n`` periods less this after the simulator's start (modulo the loop).
    """
    return number * _GOLDEN_RATIO % 1 * loop_seconds


_TURN_DEGREES: Final = 67
"""How much further than the one before a camera looks around: neighbours look in different directions."""


class Simulator:
    """Serves the cameras while its context is entered, in one event loop.

    Entering returns as soon as it listens. Cameras come up as their clips are ready, the lowest number first, and
    answer 503 until then (`ready` waits for all).
    """

    def __init__(self, settings: SimSettings | None = None) -> None:
        self.settings = settings or SimSettings(port=0)
        self.counters = Counters()
        self._streams: dict[tuple[str, str], SimulatedStream] = {}
        self._connections: set[RtspServerConnection] = set()
        self._listeners: dict[str, asyncio.Server] = {}
        self._ports: dict[str, int] = {}
        self._refusing: set[str] = set()
        self._stack = AsyncExitStack()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            settings = self.settings
            self._studio = await stack.enter_async_context(
                Studio.open(settings.cache or default_cache(), settings.workers)
            )
            self._udp = UdpPorts(settings.host, self.counters)
            stack.callback(self._udp.close)
            self._build()
            stack.push_async_callback(self._close)
            for index, camera in enumerate(self.camera_ids if settings.own_ports else ("",)):
                await self._listen(camera, settings.port + index if settings.port else 0)
            for text in settings.faults:
                wanted = FaultSetting.parse(text)
                self.fault(wanted.camera, wanted.fault, wanted.value, profile=wanted.profile)
            self._group = await stack.enter_async_context(asyncio.TaskGroup())
            stack.callback(self._cancel)
            self._began = asyncio.get_running_loop().time()
            self._spawn(self._prepare())
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # The error is not passed to the task group, which would wrap it.
        await self._stack.aclose()

    @property
    def camera_ids(self) -> list[str]:
        """``cam-001``, …"""
        return [camera_id(number) for number in range(1, self.settings.cameras + 1)]

    @property
    def port(self) -> int:
        """The RTSP port (the first one where each camera has its own)."""
        return next(iter(self._ports.values()))

    def url(self, camera: str, profile: str = "main", *, credentials: bool = False) -> str:
        """The RTSP URL of a profile; with user and password on request, if they are needed."""
        settings = self.settings
        user = ""
        if credentials and settings.auth != "none":
            user = f"{quote(settings.username, safe='')}:{quote(settings.password.get_secret_value(), safe='')}@"
        port = self._ports[camera if settings.own_ports else ""]
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        return f"rtsp://{user}{host}:{port}/{camera}/{profile}"

    def stream(self, camera: str, profile: str = "main") -> SimulatedStream:
        """One profile; raises KeyError for an unknown camera."""
        return self._streams[camera, profile]

    async def ready(self, cameras: Iterable[str] | None = None) -> None:
        """Waits until these cameras (default: all) can be watched."""
        for camera in self.camera_ids if cameras is None else cameras:
            for profile in _PROFILES:
                await self._streams[camera, profile].ready.wait()

    @property
    def ready_cameras(self) -> int:
        """How many cameras can be watched."""
        return sum(self._streams[camera, "main"].ready.is_set() for camera in self.camera_ids)

    @property
    def frames_skipped(self) -> int:
        """Frames that were due more than `_CATCH_UP_SECONDS` ago: this process had too little CPU."""
        return sum(track.frames_skipped for stream in self._streams.values() for track in stream.tracks)

    def fault(self, camera: str, fault: Fault, value: float | None = None, *, profile: str | None = None) -> None:
        """Makes a fault hold for a camera (``*``: all), for one profile or both; raises KeyError for an unknown one.

        It takes effect at once. `Fault.RESOLUTION` waits for the first keyframe after its clip has been made.
        """
        for stream in self._chosen(camera, profile):
            stream.set_fault(fault, value)
            log.info("sim.fault", camera=stream.camera, profile=stream.profile, fault=fault.value, value=value)
            if fault is Fault.RESOLUTION:
                self._spawn(self._change_resolution(stream))
            if fault is Fault.REFUSE:
                self._refuse(stream.camera)

    def clear(self, camera: str, fault: Fault | None = None, *, profile: str | None = None) -> None:
        """Ends one fault, or all, of a camera (``*``: all)."""
        for stream in self._chosen(camera, profile):
            resolution = Fault.RESOLUTION in stream.faults
            stream.faults.clear(fault)
            if resolution and Fault.RESOLUTION not in stream.faults:
                self._spawn(self._change_resolution(stream))
            if stream.camera in self._refusing and Fault.REFUSE not in stream.faults:
                self._refusing.discard(stream.camera)
                self._spawn(self._listen(stream.camera, self._ports[stream.camera]))

    def catalogue(self, site: str = "city") -> list[tuple[Camera, Credentials | None]]:
        """The cameras as catalogue entries, with credentials if `SimSettings.auth` asks for them."""
        return [self._camera(number, site) for number in range(1, self.settings.cameras + 1)]

    def _camera(self, number: int, site: str) -> tuple[Camera, Credentials | None]:
        camera, spot = camera_id(number), place(number)
        settings = self.settings
        credentials = None
        if settings.auth != "none":
            credentials = Credentials(username=settings.username, password=settings.password.get_secret_value())
        entry = Camera(
            id=camera,
            site=site,
            name=f"{spot.name}, {spot.city}",
            audio=PRESETS[settings.profile](number).main.audio is not None,
            location=Location(
                latitude=spot.latitude,
                longitude=spot.longitude,
                address=f"{spot.name}, {spot.city}",
                bearing=number * _TURN_DEGREES % 360,
            ),
            tags=(spot.city.lower(), DEMO_TAG),
            profiles={profile: Profile(url=self.url(camera, profile)) for profile in _PROFILES},
            has_credentials=credentials is not None,
        )
        return entry, credentials

    def _build(self) -> None:
        for number, camera in enumerate(self.camera_ids, start=1):
            spec = PRESETS[self.settings.profile](number)
            for profile in _PROFILES:
                self._streams[camera, profile] = SimulatedStream(number, camera, profile, getattr(spec, profile))

    def _chosen(self, camera: str, profile: str | None) -> list[SimulatedStream]:
        cameras = self.camera_ids if camera == "*" else [camera]
        return [self._streams[name, each] for name in cameras for each in ((profile,) if profile else _PROFILES)]

    async def _listen(self, camera: str, port: int) -> None:
        settings = self.settings
        password = settings.password.get_secret_value()

        def find(name: str, profile: str) -> SimulatedStream | None:
            return self._streams.get((name, profile)) if camera in ("", name) else None

        def connect() -> RtspServerConnection:
            authenticator = Authenticator(settings.auth, settings.username, password)
            return RtspServerConnection(find, authenticator, self._udp, self.counters, self._connections)

        try:
            server = await asyncio.get_running_loop().create_server(connect, settings.host, port, backlog=1024)
        except OSError as error:
            raise PortTakenError(
                f"simulated cameras cannot listen on {settings.host}:{port}: {error.strerror or error}; "
                "stop the program that listens there, or choose another port with --port (PANTAU_SIM_PORT)"
            ) from error
        self._listeners[camera] = server
        self._ports[camera] = server.sockets[0].getsockname()[1]

    def _refuse(self, camera: str) -> None:
        if self.settings.own_ports and (server := self._listeners.pop(camera, None)) is not None:
            server.close()
            self._refusing.add(camera)

    async def _prepare(self) -> None:
        """Brings the cameras up, the lowest number first."""
        started = monotonic()
        async with asyncio.TaskGroup() as group:
            for stream in self._streams.values():
                group.create_task(self._bring_up(stream))
        log.info(
            "sim.ready", cameras=self.settings.cameras, made=self._studio.made, seconds=round(monotonic() - started, 1)
        )

    async def _bring_up(self, stream: SimulatedStream) -> None:
        reels = [await self._studio.get_reel(self._key(stream.number, stream.spec.video))]
        if stream.spec.audio is not None:
            reels.append(await self._studio.get_reel(self._key(stream.number, stream.spec.audio)))
        stream.start(reels, self._began - phase_seconds(stream.number, stream.spec.video.loop_seconds))

    async def _change_resolution(self, stream: SimulatedStream) -> None:
        await stream.ready.wait()
        video = stream.spec.video
        if video.codec == "mjpeg":
            return
        if Fault.RESOLUTION in stream.faults:
            video = replace(video, width_px=video.width_px * 3 // 4, height_px=video.height_px * 3 // 4 // 2 * 2)
        stream.change_reel(await self._studio.get_reel(self._key(stream.number, video)))

    def _key(self, number: int, track: VideoSpec | AudioSpec) -> ClipKey:
        scene = (number - 1) % (self.settings.scenes or self.settings.cameras) + 1
        label = f"{camera_id(scene).upper()} {place(scene).name}" if isinstance(track, VideoSpec) else ""
        return ClipKey(scene, label, track, self.settings.marker or isinstance(track, AudioSpec))

    def _spawn(self, work: "asyncio._CoroutineLike[None]") -> None:
        self._tasks = [task for task in self._tasks if not task.done()]
        self._tasks.append(self._group.create_task(work))

    def _cancel(self) -> None:
        for task in self._tasks:
            task.cancel()

    async def _close(self) -> None:
        for server in self._listeners.values():
            server.close()
        for stream in self._streams.values():
            stream.stop()
        for connection in tuple(self._connections):
            connection.close(reset=False)
        await asyncio.sleep(0)  # lets transports close before the loop may end
