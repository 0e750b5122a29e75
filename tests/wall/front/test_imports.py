import subprocess
import sys


def test_a_front_that_has_made_no_picture_has_not_loaded_what_makes_pictures() -> None:
    code = "import sys, services.wall.front.app, services.wall.exports.desk; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "services.wall.front.app" in loaded
    assert not {"av", "PIL", "numpy", "aiortc"} & set(loaded)
