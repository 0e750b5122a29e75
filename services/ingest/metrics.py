"""What a worker observes, for Prometheus."""

from collections.abc import Iterator
from typing import Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from services.contracts.models import CameraReport
from services.ingest.publisher import Publisher
from services.mesh.metrics import PREFIX


class Observes(Protocol):
    """A worker, as far as metrics are concerned."""

    @property
    def publisher(self) -> Publisher:
        """Its way out."""

    def reports(self) -> list[CameraReport]:
        """What is observed of all cameras."""


class IngestCollector(Collector):
    """Prometheus metrics, made when they are asked for."""

    def __init__(self, worker: Observes) -> None:
        self._worker = worker

    def collect(self) -> Iterator[Metric]:
        """See ``prometheus_client.registry.Collector``."""
        labels = ("camera", "profile")
        online = GaugeMetricFamily(f"{PREFIX}_ingest_online", "1 while frames come", labels=labels)
        bitrate = GaugeMetricFamily(f"{PREFIX}_ingest_bitrate_bps", "Payload bits a second", labels=labels)
        rate = GaugeMetricFamily(f"{PREFIX}_ingest_frame_rate", "Frames a second", labels=labels)
        frames = CounterMetricFamily(f"{PREFIX}_ingest_frames", "Frames made of a source's packets", labels=labels)
        reconnects = CounterMetricFamily(f"{PREFIX}_ingest_reconnects", "Attempts after the first", labels=labels)
        bad = CounterMetricFamily(f"{PREFIX}_ingest_bad_timestamps", "Frames re-timed by arrival", labels=labels)
        for camera in self._worker.reports():
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
        for name, value in self._worker.publisher.totals().items():
            total = CounterMetricFamily(f"{PREFIX}_ingest_{name}", "Of this worker")
            total.add_metric((), value)
            yield total
