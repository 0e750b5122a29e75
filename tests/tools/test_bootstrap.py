"""What make does first; the real thing runs on a fresh machine, see docs/guide/developers.md."""

import hashlib
import io
import json
import re
import sys
from pathlib import Path

import pytest

from tools import bootstrap, debian, node, steps
from tools.check_tree import findings, stale_paths

ROOT = Path(__file__).parents[2]


def test_a_stamp_is_fresh_only_for_what_it_was_written_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "VENV", tmp_path)
    assert not steps.Stamp("x", hashlib.sha256(b"1")).fresh()
    steps.Stamp("x", hashlib.sha256(b"1")).write()
    assert steps.Stamp("x", hashlib.sha256(b"1")).fresh()
    assert not steps.Stamp("x", hashlib.sha256(b"2")).fresh()


def test_an_installer_that_says_nothing_is_told_to_run_still(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = tmp_path / "told"

    class Terminal(io.StringIO):
        def write(self, text: str) -> int:
            told.touch()
            return super().write(text)

    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    until_told = f"import pathlib, time\nwhile not pathlib.Path({str(told)!r}).exists(): time.sleep(0.01)"
    steps.run([sys.executable, "-c", until_told], told_each_seconds=0.01)
    assert re.match(r"pantau:   since \d+ s …\n", terminal.getvalue())


def test_a_program_that_fails_is_told_with_what_it_printed(capsys: pytest.CaptureFixture[str]) -> None:
    fails = [sys.executable, "-c", "print('no room'); raise SystemExit(3)"]
    with pytest.raises(steps.Stop, match="failed with status 3"):
        steps.run(fails, quietly=True)
    assert capsys.readouterr().out == "no room\n"


def test_without_root_and_sudo_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr("shutil.which", lambda name: None if name == "sudo" else f"/usr/bin/{name}")
    monkeypatch.setattr(debian, "_installed", lambda name: name != "coturn")
    with pytest.raises(steps.Stop, match=r"apt-get install coturn$"):
        debian.install_test_packages()


def test_elsewhere_than_on_debian_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    with pytest.raises(steps.Stop, match=r"Debian alone.*chromium"):
        debian.install_test_packages()


def test_a_python_without_ensurepip_gets_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    monkeypatch.setattr(debian, "_install", lambda packages, _why: asked.append(packages))
    debian.ensure_ensurepip()
    assert asked[0][0].endswith("-venv")


def test_every_target_of_the_makefile_knows_its_steps() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in bootstrap.TARGETS:
        assert f"-m tools.bootstrap {target}\n" in makefile


def test_the_lock_file_names_every_optional_package_so_that_npm_ci_takes_it_anywhere() -> None:
    packages = json.loads((node.WEB / "package-lock.json").read_text())["packages"]
    for name, package in packages.items():
        for optional in package.get("optionalDependencies", {}):
            assert f"node_modules/{optional}" in packages or f"{name}/node_modules/{optional}" in packages, optional


@pytest.mark.parametrize(
    "text",
    ["see /root" + "/x", "/home" + "/siti/x", "https://registry.npm" + "js.org/x", "pip install --index-" + "url x"],
)
def test_what_works_on_one_machine_alone_is_found(text: str) -> None:
    assert findings("file", text)


@pytest.mark.parametrize(
    "text", ["~/.local/share/pantau", "/var/lib/pantau", "https://example.org/home/x", "$HOME/root/"]
)
def test_what_works_anywhere_is_not(text: str) -> None:
    assert not findings("file", text)


def test_a_file_that_moved_away_is_found_where_a_text_still_names_it(tmp_path: Path) -> None:
    (tmp_path / "services").mkdir()
    (tmp_path / "services" / "here.py").touch()
    text = "see services/here.py and `services/gone.py`, not other/services/x.py or services/*.py"
    assert stale_paths("file", text, tmp_path) == ["file:1: no such file: services/gone.py"]
