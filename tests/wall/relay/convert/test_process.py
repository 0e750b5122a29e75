import subprocess
import sys


def test_a_converter_starts_without_what_services_need() -> None:
    code = "import sys, services.wall.relay.convert.__main__; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "av" in loaded
    assert not {"services.mesh", "aiohttp", "pydantic", "nats"} & set(loaded)
