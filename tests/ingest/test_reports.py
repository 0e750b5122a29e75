"""Reports: newest counts, changes at once, metrics to match."""

from prometheus_client import CollectorRegistry, generate_latest

from services.contracts.models import CameraReport, ProfileReport
from services.ingest.reports import IngestCollector, Reports


def report(camera: str, frames: int, status: str = "online") -> CameraReport:
    profile = ProfileReport.model_validate({"status": status, "frames": frames, "bitrate_bps": 1000})
    return CameraReport(
        camera=camera, site="s", epoch=1, profiles={"main": profile, "sub": ProfileReport(status="idle")}
    )


def test_changes_are_told_once_and_the_whole_always() -> None:
    reports = Reports("w")
    reports.keep(["a", "b", "c"])
    reports.take([report("a", 1), report("b", 1)], changed=False)
    assert reports.changes(5) is None
    reports.take([report("a", 2)], changed=True)
    changes = reports.changes(6)
    assert changes is not None
    assert [(camera.camera, camera.profiles["main"].frames) for camera in changes.cameras] == [("a", 2)]
    assert reports.changes(7) is None
    assert {camera.camera for camera in reports.whole(8).cameras} == {"a", "b"}


def test_what_is_not_ours_any_more_is_not_reported() -> None:
    reports = Reports("w")
    reports.keep(["a", "b", "c"])
    reports.take([report("a", 1), report("b", 1), report("c", 1)], changed=True)
    reports.keep(["a", "b"])
    reports.forget(["b"])
    reports.take([report("c", 2)], changed=True)
    changes = reports.changes(1)
    assert changes is not None
    assert [camera.camera for camera in changes.cameras] == ["a"]


def test_metrics_show_each_profile_that_is_open() -> None:
    reports = Reports("w")
    reports.keep(["a", "b", "c"])
    reports.take([report("a", 42)], changed=False)
    registry = CollectorRegistry()
    registry.register(IngestCollector(reports, lambda: {"published": 7}))
    text = generate_latest(registry).decode()
    assert 'pantau_ingest_frames_total{camera="a",profile="main"} 42.0' in text
    assert 'profile="sub"' not in text
    assert "pantau_ingest_published_total 7.0" in text
