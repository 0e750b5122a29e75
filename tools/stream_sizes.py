"""How large the events' streams get, from the events as they are packed; for docs/guide/deploy.md."""

from typing import Final, NamedTuple

from services.contracts import subjects
from services.contracts.events import Audit, CameraHealth, CameraOffline, Event, SegmentClosed, headers
from services.contracts.models import ProfileReport, Reason
from services.mesh.event_stream import StreamLimits
from services.registry.settings import RegistrySettings

CAMERAS: Final = (660, 10_000)
STORED_BYTES: Final = 34
"""What JetStream adds to a message on disk besides its subject: lengths, number and time, and a hash."""
SOURCE: Final = "/registry/registry-1"
_AT_US: Final = 1_767_225_600_123_456
_REPORT: Final = ProfileReport(
    status="online",
    codec="hevc",
    width_px=1920,
    height_px=1080,
    frame_rate=25.0,
    bitrate_bps=2_000_000,
    last_frame_us=_AT_US,
    frames=1_000_000,
    reader="direct",
    transport="tcp",
)
_SITE: Final = "malang"
_CAMERA: Final = "simpang-kayutangan-2"


class EventRate(NamedTuple):
    """How often an event comes, and how long it is kept."""

    event: Event
    a_camera_and_day: float
    days: float
    """0: only the newest of each camera is kept."""


def rates() -> list[EventRate]:
    """What fills the streams. Segments last a minute; changes of state and what people do are assumptions."""
    settings, limits = RegistrySettings(), StreamLimits()
    return [
        EventRate(
            CameraOffline(site=_SITE, at_us=_AT_US, camera=_CAMERA, reason=Reason.STALLED, detail="no frame for 10 s"),
            20,
            limits.events_seconds / 86400,
        ),
        EventRate(
            Audit(site=_SITE, at_us=_AT_US, target=_CAMERA, action="viewed-recording", actor="siti", role="operator"),
            2,
            limits.audit_seconds / 86400,
        ),
        EventRate(
            SegmentClosed(
                site=_SITE,
                at_us=_AT_US,
                camera=_CAMERA,
                recorder="recorder-1",
                profile="main",
                path=f"{_SITE}/{_CAMERA}/main/2026/01/01/00/20260101T000000123Z.mp4",
                from_us=_AT_US,
                to_us=_AT_US + 60_000_000,
                size_bytes=15_000_000,
                frames=1500,
                keyframes=30,
                codec="hevc",
                chain_hash="0" * 64,
                signature="0" * 128,
                key_id="0" * 16,
                public_key="0" * 64,
            ),
            1440,
            settings.seals_max_days,
        ),
        EventRate(
            CameraHealth(
                site=_SITE, at_us=_AT_US, camera=_CAMERA, status="online", profiles={"main": _REPORT, "sub": _REPORT}
            ),
            1440,
            0,
        ),
    ]


def stored_bytes(event: Event) -> int:
    """How much of a disk one event takes."""
    given = headers(event, source=SOURCE, event_id="0b0e8f4e-6a51-4d0e-9a53-7b8ad7f3a0c1")
    head = len("NATS/1.0\r\n\r\n") + sum(len(f"{name}: {value}\r\n") for name, value in given.items())
    return STORED_BYTES + len(event.nats_subject) + head + len(event.pack())


def megabytes(rate: EventRate, cameras: int) -> float:
    """What a kind of event takes in its stream, on each node that keeps it."""
    kept = rate.a_camera_and_day * rate.days if rate.days else 1
    return stored_bytes(rate.event) * kept * cameras / 1024**2


def table() -> str:
    """The rows of the guide."""
    head = " | ".join(f"{cameras:,} cameras" for cameras in CAMERAS)
    rows = [f"| stream | event | bytes | a camera and day | kept | {head} |", "|---|---|---|---|---|---|---|"]
    for rate in rates():
        kept = f"{rate.days:g} days" if rate.days else "the newest"
        name = "all actions" if rate.event.kind == "audit" else f"`{rate.event.type}`"
        sizes = " | ".join(f"{megabytes(rate, cameras):,.0f} MB" for cameras in CAMERAS)
        size = stored_bytes(rate.event)
        rows.append(f"| `{rate.event.stream}` | {name} | {size} | {rate.a_camera_and_day:g} | {kept} | {sizes} |")
    for stream in (subjects.EVENTS_STREAM, subjects.AUDIT_STREAM, subjects.HEALTH_STREAM):
        sums = [sum(megabytes(rate, cameras) for rate in rates() if rate.event.stream == stream) for cameras in CAMERAS]
        rows.append(f"| `{stream}` | **together** | | | | " + " | ".join(f"**{size:,.0f} MB**" for size in sums) + " |")
    return "\n".join(rows)
