"""The limit of open files is raised, in a process of its own: it cannot be put back."""

import subprocess
import sys

RAISE = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard})); "
SAY = (
    "from services.mesh.file_limit import raise_file_limit as r; print(r(), resource.getrlimit(resource.RLIMIT_NOFILE))"
)


def said(soft: int, hard: int) -> str:
    code = RAISE.format(soft=soft, hard=hard) + SAY
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_a_soft_limit_is_raised_to_the_hard_one() -> None:
    assert said(256, 8192) == "8192 (8192, 8192)\n"


def test_a_hard_limit_that_is_too_low_is_told() -> None:
    told = said(256, 512)
    assert "service.few_files" in told
    assert told.endswith("512 (512, 512)\n")
