"""What the whole worker observes: the processes' reports put together, for the registry and for Prometheus."""

from collections.abc import Callable, Iterable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from services.contracts.models import CameraReport, Id, IngestReport
from services.mesh.metrics import PREFIX


class Reports:
    """The newest report of each camera that this worker has."""

    def __init__(self, worker: Id) -> None:
        self._worker = worker
        self._mine: frozenset[Id] = frozenset()
        self._newest: dict[Id, CameraReport] = {}
        self._changed: set[Id] = set()

    def take(self, cameras: Iterable[CameraReport], *, changed: bool) -> None:
        """Takes reports; ``changed`` ones are to be told at once. What is late for a camera that left is dropped."""
        for camera in cameras:
            if camera.camera not in self._mine:
                continue
            self._newest[camera.camera] = camera
            if changed:
                self._changed.add(camera.camera)

    def keep(self, cameras: Iterable[Id]) -> None:
        """These are the worker's cameras from now on; all others are forgotten."""
        self._mine = frozenset(cameras)
        self._newest = {camera: report for camera, report in self._newest.items() if camera in self._mine}

    def forget(self, cameras: Iterable[Id]) -> None:
        """Forgets these: what was said of them is old."""
        for camera in cameras:
            self._newest.pop(camera, None)

    def whole(self, at_us: int) -> IngestReport:
        """All cameras."""
        self._changed.clear()
        return IngestReport(worker=self._worker, at_us=at_us, cameras=tuple(self._newest.values()))

    def changes(self, at_us: int) -> IngestReport | None:
        """The cameras that changed since the last report; None where none did."""
        changed = [self._newest[camera] for camera in sorted(self._changed) if camera in self._newest]
        self._changed.clear()
        return IngestReport(worker=self._worker, at_us=at_us, cameras=tuple(changed)) if changed else None

    def __iter__(self) -> Iterator[CameraReport]:
        """The newest reports."""
        return iter(tuple(self._newest.values()))


class IngestCollector(Collector):
    """Prometheus metrics, made of the newest reports when they are asked for."""

    def __init__(self, reports: Reports, totals: Callable[[], dict[str, int]]) -> None:
        self._reports = reports
        self._totals = totals

    def collect(self) -> Iterator[Metric]:
        """See ``prometheus_client.registry.Collector``."""
        labels = ("camera", "profile")
        online = GaugeMetricFamily(f"{PREFIX}_ingest_online", "1 while frames come", labels=labels)
        bitrate = GaugeMetricFamily(f"{PREFIX}_ingest_bitrate_bps", "Payload bits a second", labels=labels)
        rate = GaugeMetricFamily(f"{PREFIX}_ingest_frame_rate", "Frames a second", labels=labels)
        frames = CounterMetricFamily(f"{PREFIX}_ingest_frames", "Frames made of a source's packets", labels=labels)
        reconnects = CounterMetricFamily(f"{PREFIX}_ingest_reconnects", "Attempts after the first", labels=labels)
        bad = CounterMetricFamily(f"{PREFIX}_ingest_bad_timestamps", "Frames re-timed by arrival", labels=labels)
        for camera in self._reports:
            for name, profile in camera.profiles.items():
                if profile.status == "idle":
                    continue
                key = (camera.camera, name)
                online.add_metric(key, profile.status == "online")
                bitrate.add_metric(key, profile.bitrate_bps)
                rate.add_metric(key, profile.frame_rate)
                frames.add_metric(key, profile.frames)
                reconnects.add_metric(key, profile.reconnects)
                bad.add_metric(key, profile.bad_timestamps)
        yield from (online, bitrate, rate, frames, reconnects, bad)
        for name, value in self._totals().items():
            total = CounterMetricFamily(f"{PREFIX}_ingest_{name}", "Of this worker's reader processes together")
            total.add_metric((), value)
            yield total
