"""What a service's process does not hold."""

import subprocess
import sys

import pytest


def _imported(modules: str, names: str) -> str:
    code = f"import sys\nimport {modules}\nprint(*sorted({{{names}}} & set(sys.modules)))"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout.strip()


@pytest.mark.parametrize("module", ["services.wall.relay.app", "services.up.app", "services.recorder.app"])
def test_no_http_library_is_held_where_none_is_served(module: str) -> None:
    assert not _imported(module, "'aiohttp', 'rich', 'services.wall.front'")


def test_what_a_library_was_spared_can_be_imported_by_others_after_it() -> None:
    modules = "services.mesh.nats_client, structlog.dev, aiohttp, rich"
    assert _imported(modules, "'aiohttp', 'rich'") == "aiohttp rich"


def test_a_library_that_was_there_before_is_left_there() -> None:
    modules = "aiohttp, services.mesh.nats_client as c"
    assert _imported(modules, "'aiohttp'") == "aiohttp"
