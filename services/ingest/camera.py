"""One camera in a worker: its profiles, and the viewers who ask for them."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from services.contracts import subjects
from services.contracts.models import CameraReport, ProfileName, ProfileReport, Reason, WantReply
from services.ingest.assignments import CameraPlan
from services.ingest.fallbacks import Fallbacks
from services.ingest.feed import Feed, Readers
from services.ingest.keeping.keep import Keep
from services.ingest.pipeline import Pipeline
from services.ingest.publisher import Publisher
from services.ingest.readers.source import Kind
from services.ingest.settings import IngestSettings
from services.ingest.shedding import Shed
from services.mesh.bus import Bus
from services.mesh.clock import Clock
from services.mesh.want import WantAnswerer

GIVEN_UP: Final = "the ingest worker has more to do than it can: add one, or fewer cameras"


@dataclass(frozen=True)
class Surroundings:
    """What all cameras of a worker share."""

    settings: IngestSettings
    bus: Bus
    publisher: Publisher
    keep: Keep
    tasks: asyncio.TaskGroup
    clock: Clock
    readers: Readers
    fallbacks: Fallbacks
    on_change: Callable[[str], None]
    """Called with the camera's id when its report says something new."""


class CameraIngest:
    """Main is always open; the other profiles while somebody wants them."""

    def __init__(self, plan: CameraPlan, around: Surroundings) -> None:
        self.plan = plan
        self._around = around
        self._feeds: dict[ProfileName, Feed] = {}
        self._tasks: dict[ProfileName, asyncio.Task[None]] = {}
        self._wanted_until: dict[ProfileName, float] = {}
        self._shed: Shed | None = None
        self._wants = WantAnswerer(around.bus, self._answer_want, publish_frame=around.publisher.publish)

    async def start(self) -> None:
        """Opens main and listens for viewers."""
        self._open_main()
        await self._wants.listen(subjects.want(self.plan.site, "*", self.plan.camera))

    async def update(self, plan: CameraPlan) -> None:
        """Takes a new plan; what is not touched by it goes on."""
        if plan.site != self.plan.site:
            for feed in self._feeds.values():
                feed.end_loan()  # what was taken so far is the old site's
        old, self.plan = self.plan, plan
        if plan.site != old.site:
            self._around.keep.camera(old.site, old.camera).end_reading()
            await self._wants.listen(subjects.want(plan.site, "*", plan.camera))
        for profile in list(self._feeds):
            if profile not in plan.profiles:
                self._close(profile)
            elif (plan.source(profile), plan.reader(profile)) != (
                self._feeds[profile].source,
                self._feeds[profile].reader,
            ):
                self._close(profile, keep_wanted=True)
                self._open(profile)
            else:
                self._feeds[profile].count_from(plan.epoch)
        self._open_main()

    @property
    def online(self) -> bool:
        """Whether its main stream delivers."""
        main = self._feeds.get("main")
        return main is not None and main.status == "online"

    @property
    def sub_open(self) -> bool:
        """Whether its small stream is read just now."""
        return "sub" in self._feeds

    @property
    def bitrate_bps(self) -> int:
        """Of all that is read of it, over the last seconds."""
        return sum(feed.bitrate_bps for feed in self._feeds.values())

    def give_up(self, shed: Shed | None) -> None:
        """Closes what the worker has no room for (``camera``: all), or opens main again (None, ``sub``)."""
        if shed == self._shed:
            return
        self._shed = shed
        for profile in [profile for profile in self._feeds if shed == "camera" or (shed and profile != "main")]:
            self._close(profile)
        self._open_main()
        self._around.on_change(self.plan.camera)

    def _open_main(self) -> None:
        if "main" in self.plan.profiles and "main" not in self._feeds and self._shed != "camera":
            self._open("main")

    async def stop(self) -> None:
        """Closes all; the sources are left behind."""
        for profile in list(self._feeds):
            self._close(profile)
        self._around.keep.camera(self.plan.site, self.plan.camera).end_reading()
        await self._wants.close()

    def _open(self, profile: ProfileName) -> None:
        source = self.plan.source(profile)
        settings, clock = self._around.settings, self._around.clock

        def pipeline() -> Pipeline:
            return Pipeline(clock, gop_bytes=settings.gop_cache_bytes)

        reader, fallbacks = self.plan.reader(profile), self._around.fallbacks
        auto = (settings.reader or reader) == "auto"
        pipelines: dict[Kind, Pipeline] = {"video": pipeline()}
        if source.audio:
            pipelines["audio"] = pipeline()
        feed = Feed(
            self.plan.camera,
            profile,
            source,
            pipelines,
            epoch=self.plan.epoch,
            deliver=lambda kind, messages: self._publish("audio" if kind == "audio" else profile, messages),
            keep=self._keep_main if profile == "main" else _keep_nothing,
            subject=lambda: subjects.media(self.plan.site, profile, self.plan.camera),
            settings=settings,
            reader=reader,
            readers=self._around.readers,
            clock=clock,
            on_change=lambda: self._around.on_change(self.plan.camera),
            learned=fallbacks.recall(self.plan.camera, profile, source, auto=auto),
            on_fallback=lambda detail: fallbacks.learn(self.plan.camera, profile, source, detail),
        )
        self._feeds[profile] = feed
        self._tasks[profile] = self._around.tasks.create_task(feed.run(), name=f"feed {self.plan.camera}/{profile}")
        self._around.on_change(self.plan.camera)

    def _close(self, profile: ProfileName, *, keep_wanted: bool = False) -> None:
        self._tasks.pop(profile).cancel()
        self._feeds.pop(profile).close_run()
        if not keep_wanted:
            self._wanted_until.pop(profile, None)
        self._around.on_change(self.plan.camera)

    def _keep_main(self, messages: Sequence[bytes], now: float) -> None:
        self._around.keep.camera(self.plan.site, self.plan.camera).add_messages(messages, now)

    def _publish(self, name: str, messages: list[bytes]) -> None:
        """Keeps what recorders need, then publishes: a recorder that misses a message finds it kept."""
        if name != "sub":
            self._keep_main(messages, self._around.clock.monotonic())
        subject = subjects.media(self.plan.site, name, self.plan.camera)
        for message in messages:
            self._around.publisher.publish(subject, message)

    def tick(self, now: float) -> None:
        """Watches the sources, and closes what nobody wants any more. ``now`` is `Clock.monotonic`'s."""
        for feed in self._feeds.values():
            feed.check(now)
        for profile in [profile for profile, until in self._wanted_until.items() if now >= until]:
            self._close(profile)

    def _answer_want(self, name: str) -> tuple[WantReply, tuple[bytes, ...]] | None:
        if not self._around.publisher.permitted:
            return None
        profile: ProfileName
        if self._shed == "camera" or (self._shed and name == "sub"):
            return WantReply(status="failed", reason=Reason.OVERLOADED, detail=GIVEN_UP), ()
        if name == "audio" and self.plan.audio and "main" in self.plan.profiles:
            profile, kind = "main", "audio"
        elif name == "main" and name in self.plan.profiles:
            profile, kind = name, "video"
        elif name == "sub" and name in self.plan.profiles:
            profile, kind = name, "video"
            self._wanted_until[profile] = self._around.clock.monotonic() + self._around.settings.want_seconds
            if profile not in self._feeds:
                self._open(profile)
        else:
            return WantReply(status="unknown-profile"), ()
        feed = self._feeds[profile]
        report = feed.audio_report() if kind == "audio" else feed.report()
        if report.status == "online":
            frames = feed.pipelines["audio" if kind == "audio" else "video"].gop.snapshot()
            return WantReply(status="live", frames=len(frames)), frames
        status = "failed" if report.status == "offline" else "opening"
        return WantReply(status=status, reason=report.reason, detail=report.detail), ()

    def report(self) -> CameraReport:
        """What is observed of all profiles."""
        profiles: dict[str, ProfileReport] = {}
        for profile in self.plan.profiles:
            feed = self._feeds.get(profile)
            profiles[profile] = feed.report() if feed else self._closed_report()
            if feed and "audio" in feed.pipelines:
                profiles["audio"] = feed.audio_report()
        return CameraReport(camera=self.plan.camera, site=self.plan.site, epoch=self.plan.epoch, profiles=profiles)

    def _closed_report(self) -> ProfileReport:
        if self._shed == "camera":
            return ProfileReport(status="offline", reason=Reason.OVERLOADED, detail=GIVEN_UP)
        return ProfileReport(status="idle")


def _keep_nothing(_messages: Sequence[bytes], _now: float) -> None:
    return
