"""Fixtures that every test may use: a real nats-server on a free port, and a connection to it."""

from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import hypothesis
import pytest

from services.mesh.bus import Bus
from services.mesh.nats_server import NatsServer
from services.mesh.settings import MeshSettings
from tests import preflight
from tests.flushed import HeardBus
from tests.support.ports import free_port

# An example of hypothesis may take as long as the machine lets it wait: its own limit is 0.2 s.
hypothesis.settings.register_profile(
    "explore", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow], print_blob=True
)
# Each run looks at the same examples, so that a change is judged by what it changes. `explore` looks for new ones.
hypothesis.settings.register_profile("pantau", hypothesis.settings.get_profile("explore"), derandomize=True)
hypothesis.settings.load_profile("pantau")


@pytest.fixture
async def nats_server(tmp_path: Path) -> AsyncIterator[NatsServer]:
    """A nats-server with JetStream of this test's own."""
    async with NatsServer(tmp_path / "nats", port=free_port()) as server:
        yield server


@pytest.fixture
def mesh_settings(nats_server: NatsServer, tmp_path: Path) -> MeshSettings:
    """Settings that point at it, with a data folder of this test's own."""
    return MeshSettings(nats_url=nats_server.url, data=tmp_path / "data", admin_port=0)


@pytest.fixture
async def bus(mesh_settings: MeshSettings) -> AsyncIterator[Bus]:
    """A connection to it."""
    connection = await HeardBus.connect(mesh_settings, "test")
    yield connection
    await connection.close()


def pytest_sessionstart(session: pytest.Session) -> None:
    """Ends a session at once that can run nothing."""
    if not (session.config.option.collectonly or hasattr(session.config, "workerinput")):
        preflight.check_nats()


def pytest_collection_finish(session: pytest.Session) -> None:
    """As above, where browser tests were chosen."""
    workers = hasattr(session.config, "workerinput")
    if not (session.config.option.collectonly or workers) and any(map(_in_browser, session.items)):
        preflight.check_chromium()


def _in_browser(item: pytest.Item) -> bool:
    return item.get_closest_marker("browser") is not None


def _stage(item: pytest.Item) -> int:
    marks = {mark.name for mark in item.iter_markers()}
    return 1 if marks & {"integration", "chaos"} else 2 if "browser" in marks else 0


def _patience_seconds(item: pytest.Item) -> float:
    mark = item.get_closest_marker("timeout")
    return float(mark.args[0]) if mark else 0.0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The quick tests first: a mistake is seen in seconds, not after the browser has run.

    Within a stage the modules that ask for most time begin, and of those that ask for none the ones with most tests, so
    that none of them runs on by itself at the end.
    """
    longest: dict[Path, float] = {}
    for item in items:
        longest[item.path] = max(longest.get(item.path, 0.0), _patience_seconds(item))
    tests = Counter(item.path for item in items)
    items.sort(key=lambda item: (_stage(item), -longest[item.path], -tests[item.path]))
