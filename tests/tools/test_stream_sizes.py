"""The sizes of the events' streams in the guide: computed, and within the defaults where the guide says so."""

from services.contracts import subjects
from services.contracts.events import Audit
from services.mesh.bus import Bus
from services.mesh.event_stream import StreamLimits, ensure_stream
from tests.registry.test_audit_stream import publish
from tools import stream_sizes


def size_bytes(stream: str, cameras: int) -> float:
    rates = [rate for rate in stream_sizes.rates() if rate.event.stream == stream]
    return sum(stream_sizes.megabytes(rate, cameras) for rate in rates) * 1024**2


def test_660_cameras_fit_into_the_default_limits_and_10000_into_those_that_the_guide_names() -> None:
    limits = StreamLimits()
    assert size_bytes(subjects.EVENTS_STREAM, 660) < limits.events_bytes
    assert size_bytes(subjects.AUDIT_STREAM, 660) < limits.audit_bytes
    assert size_bytes(subjects.HEALTH_STREAM, 10_000) < limits.health_bytes
    assert size_bytes(subjects.EVENTS_STREAM, 10_000) < 8192 * 1024**2
    assert size_bytes(subjects.AUDIT_STREAM, 10_000) < 65536 * 1024**2


async def test_an_event_takes_as_much_of_a_disk_as_is_computed(bus: Bus) -> None:
    await ensure_stream(bus)
    for rate in stream_sizes.rates():
        if isinstance(rate.event, Audit):
            await publish(bus, *[rate.event] * 50)
            stored = (await bus.js.stream_info(rate.event.stream)).state.bytes
            assert stored / 50 == stream_sizes.stored_bytes(rate.event) - len(stream_sizes.SOURCE) + len("/test")
