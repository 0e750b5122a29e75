"""The send kernel's build: with the compiler that there is, and without one."""

import subprocess
import sys
from pathlib import Path

import pytest

from services.mesh import c_library
from services.wall.relay.kernel import build, library
from tests.wall.relay.kernel.built import library as built_library
from tests.wall.relay.kernel.built import needs_compiler
from tools.declared import HEADERS, declared, module_of


def test_the_compiler_that_is_named_is_taken_then_the_system_s_then_zig(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "clang -m64")
    assert c_library.find_compiler() == ["clang", "-m64"]
    monkeypatch.delenv("CC")
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}" if name == "gcc" else None)
    assert c_library.find_compiler() == ["/usr/bin/gcc"]
    monkeypatch.setattr("shutil.which", lambda _name: None)
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: object())
    assert c_library.find_compiler() == [sys.executable, "-m", "ziglang", "cc"]


def test_without_a_compiler_it_says_what_to_install_and_nothing_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setattr("shutil.which", lambda _name: None)
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    assert build.try_build().startswith("there is no C compiler: install gcc")


@pytest.mark.parametrize(("compiler", "why"), [("false", "the C compiler failed"), ("no-such-cc", "cannot be started")])
def test_a_compiler_that_fails_leaves_the_old_library(monkeypatch: pytest.MonkeyPatch, compiler: str, why: str) -> None:
    before = build.LIBRARY.exists()
    monkeypatch.setenv("CC", compiler)
    assert why in build.try_build()
    assert build.LIBRARY.exists() is before
    assert not list(build.HERE.glob("*.tmp"))


def test_elsewhere_than_on_linux_python_sends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    assert build.try_build() == "the send kernel is for Linux, and this is darwin"
    assert library.find_kernel.__wrapped__() == "darwin has no sendmmsg"


def test_a_library_that_is_missing_or_broken_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(library, "LIBRARY", tmp_path / "kernel.native.so")
    assert "was not built" in str(library.find_kernel.__wrapped__())
    (tmp_path / "kernel.native.so").write_bytes(b"no library")
    assert "cannot be loaded" in str(library.find_kernel.__wrapped__())


def test_a_library_that_is_older_than_its_sources_is_built_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "kernel.c"
    monkeypatch.setattr(build, "SOURCES", (source,))
    source.touch()
    assert not build.is_fresh(tmp_path / "kernel.native.so")
    (tmp_path / "kernel.native.so").touch()
    assert build.is_fresh(tmp_path / "kernel.native.so")


@needs_compiler
def test_it_needs_no_library_but_the_system_s_and_shows_nothing_but_its_functions() -> None:
    answer = subprocess.run(["nm", "-D", "--defined-only", built_library()], capture_output=True, text=True, check=True)
    assert {line.split()[-1] for line in answer.stdout.splitlines()} == {
        "pk_batch_bytes", "pk_facts", "pk_flush", "pk_lay_out", "pk_measure", "pk_put", "pk_send",
        "pk_take",
    }  # fmt: skip


@pytest.mark.parametrize("header", HEADERS, ids=str)
def test_what_python_knows_of_a_kernel_s_structs_is_what_its_header_says(header: Path) -> None:
    assert module_of(header).read_text(encoding="utf-8") == declared(header), "python -m tools.declared"
