"""The media kernel takes what Python takes, byte by byte, and leaves what Python leaves."""

import os
import subprocess
import sys
from pathlib import Path

import _cffi_backend
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.contracts.frames import (
    INBOX_PAYLOAD_BYTES,
    INBOX_PICTURES,
    AccessUnit,
    CaptureClockSource,
    Codec,
    Flags,
    PictureInbox,
    encode,
)
from services.mesh.c_library import LibraryError
from services.mesh.kernel import choose, library
from services.mesh.kernel import inbox as inbox_module
from services.mesh.kernel.inbox import KernelInbox, KernelInboxes
from services.mesh.kernel.library import LIMITS
from services.mesh.media_transport import MediaSplitter
from tests.mesh.kernel.built import kernel
from tests.mesh.kernel.built import library as built_library
from tests.mesh.kernel.exercise import cut
from tests.mesh.kernel.twins import play
from tests.wall.relay.kernel.built import SANITIZERS, needs_compiler, sanitizer_runtime

pytestmark = needs_compiler


@given(st.integers(0, 1 << 32))
def test_both_take_the_same_pictures_in_the_same_order_and_leave_the_same_to_nats_py(seed: int) -> None:
    play(kernel(), seed, 60)
    cut(kernel(), seed)


def test_usual_pictures_are_the_kernel_s() -> None:
    _, short = play(kernel(), 1, 400)
    runs = [each for taken in short.taken.values() for each in taken if isinstance(each, tuple)]
    assert len(runs) > 20


def test_what_is_forgotten_is_nats_py_s_again() -> None:
    others: list[bytes] = []
    splitter, table, inbox = MediaSplitter({}, others.append), KernelInboxes(), KernelInbox(kernel())
    splitter.use(table)
    table.add(1, inbox)
    table.forget(1)
    table.forget(1)
    message = b"MSG media.1 1 3\r\nabc\r\n"
    splitter.room()[: len(message)] = message
    splitter.wrote(len(message))
    assert others == [message]
    assert inbox.take() is None


def test_a_subscription_of_a_client_that_has_made_very_many_is_python_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox_module, "MOST_INBOXES", 100)
    others: list[bytes] = []
    splitter, table = MediaSplitter({}, others.append), KernelInboxes()
    splitter.use(table)
    message = encode(AccessUnit(Flags.NONE, Codec.H264, 1, 7, 0, 0, 0, 0, CaptureClockSource.RTCP, b"picture"))
    inboxes = {subscription: KernelInbox(kernel()) for subscription in (99, 100)}
    for subscription, inbox in inboxes.items():
        table.add(subscription, inbox)
        line = b"MSG media.1 %d %d\r\n%b\r\n" % (subscription, len(message), message)
        splitter.room()[: len(line)] = line
        splitter.wrote(len(line))
    assert [inbox.newest for inbox in inboxes.values()] == [(1, 7), (-1, -1)]
    assert b"".join(others) == line
    assert len(table._pointers) == 100


def test_limits_are_those_of_the_python_beside_it() -> None:
    assert LIMITS["MK_PICTURES"] == INBOX_PICTURES
    assert LIMITS["MK_PAYLOAD_BYTES"] == INBOX_PAYLOAD_BYTES


def test_a_library_of_another_header_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    path = built_library()
    monkeypatch.setattr(library, "_STRUCTS", library._STRUCTS[:-1])
    with pytest.raises(LibraryError, match="another header"):
        library.load_kernel(path)
    with pytest.raises(LibraryError, match="another library"):
        library.load_kernel(Path(_cffi_backend.__file__))


def test_without_a_library_the_inbox_is_python_s(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(library, "LIBRARY", tmp_path / "kernel.native.so")
    assert "was not built" in str(library.find_kernel.__wrapped__())
    (tmp_path / "kernel.native.so").write_bytes(b"no library")
    monkeypatch.setattr(library, "find_kernel", library.find_kernel.__wrapped__)
    monkeypatch.setattr(choose, "_kernel", choose._kernel.__wrapped__)
    assert type(choose.new_inbox()) is PictureInbox


def test_the_sanitizers_find_nothing() -> None:
    runtime = sanitizer_runtime()
    if runtime is None:
        pytest.skip("the compiler has no AddressSanitizer")
    path = built_library(*SANITIZERS)
    environment = {**os.environ, "LD_PRELOAD": str(runtime), "ASAN_OPTIONS": "detect_leaks=0"}
    command = [sys.executable, "-m", "tests.mesh.kernel.exercise", str(path), "1", "20"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
