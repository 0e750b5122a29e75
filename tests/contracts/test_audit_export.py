"""An exported audit shows offline what was altered, left out or put in."""

import json
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any, Final

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.cli.audit import audit
from services.contracts.audit_digest import DIGEST_ACTION, AuditDigest, AuditHash
from services.contracts.audit_export import (
    AuditRecord,
    UnreadableExportError,
    end_line,
    entry_line,
    head_line,
    verify_export,
)
from services.contracts.events import Audit
from services.contracts.evidence import statement
from services.contracts.permissions import SYSTEM, Actor, Role

KEY: Final = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
BUDI: Final = Actor("budi", Role.OPERATOR, "s1", "192.0.2.7")


def record(number: int, event: Audit) -> AuditRecord:
    return AuditRecord(number, event.nats_subject, event.pack())


def viewed(number: int) -> AuditRecord:
    at_us = 1_772_000_000_000_000 + number
    return record(number, Audit.by(BUDI, site="city", at_us=at_us, target="cam-1", action="viewed-still"))


def digest_of(number: int, covered: list[AuditRecord], after: int, previous: str, day: str) -> AuditRecord:
    found = AuditHash()
    for each in covered:
        found.add(each.subject, each.data)
    digest = AuditDigest("city", day, after, covered[-1].number, found.entries, found.hexdigest(), previous)
    signed = {
        "recorder": "rec-1",
        "key": statement.public_hex(KEY),
        "signature": statement.sign(KEY, digest.to_bytes()),
    }
    detail = digest.to_detail() | signed
    return record(number, Audit.by(SYSTEM, site="city", at_us=1, target="wall", action=DIGEST_ACTION, detail=detail))


def two_days() -> list[bytes]:
    """Numbers have holes, since the stream keeps seals as well; an entry comes between a digest and its last one."""
    first = [viewed(2), viewed(3)]
    one = digest_of(6, first, 0, "", "2026-03-01")
    second = [viewed(5), one, viewed(9)]
    event = one.event()
    assert event is not None
    two = digest_of(10, second, 3, event.detail["sha256"], "2026-03-02")
    records = [*first, viewed(5), one, viewed(9), two, viewed(11)]
    return [head_line("city", 0, 11), *map(entry_line, records), end_line(len(records))]


def test_an_export_as_it_was_made_is_intact_and_says_what_is_not_signed_yet() -> None:
    verdict = verify_export(two_days())
    assert (verdict.findings, verdict.unknown, verdict.entries) == ([], [], 7)
    assert [(each.digest.day, each.digest.entries, each.intact) for each in verdict.digests] == [
        ("2026-03-01", 2, True),
        ("2026-03-02", 3, True),
    ]
    assert verdict.unsigned == 2, "the newest digest itself, and the entry behind it"


def altered(lines: list[bytes], index: int, **changes: Any) -> list[bytes]:
    line = json.loads(lines[index]) | changes
    return [*lines[:index], json.dumps(line).encode(), *lines[index + 1 :]]


def with_data(lines: list[bytes], index: int, event: Audit) -> list[bytes]:
    return altered(lines, index, data=b64encode(event.pack()).decode(), entry=event.model_dump(mode="json"))


def test_an_entry_that_was_altered_left_out_or_put_in_is_found() -> None:
    lines = two_days()
    innocent = Audit.by(BUDI, site="city", at_us=5, target="cam-2", action="viewed-still")
    assert "2026-03-01" in verify_export(with_data(lines, 1, innocent)).findings[0]
    shorter = [*lines[:2], *lines[3:-1], end_line(6)]
    assert "2026-03-01" in verify_export(shorter).findings[0]
    longer = [*lines[:5], entry_line(viewed(8)), *lines[5:-1], end_line(8)]
    assert "2026-03-02" in verify_export(longer).findings[0]
    assert "does not say" in verify_export(altered(lines, 2, entry={"actor": "ani"})).findings[0]
    assert "6 entries are there of 7" in verify_export([*lines[:-2], lines[-1]]).findings[0]
    assert "behind the file's end" in verify_export([*lines, entry_line(viewed(12))]).findings[0]
    assert verify_export([*lines, b"\n"]).findings == []
    moved = [head_line("hub", 0, 11), *lines[1:]]
    assert "is of the site city" in verify_export(moved).findings[0]
    assert "wrong place" in verify_export([lines[0], lines[2], lines[1], *lines[3:]]).findings[0]


def test_a_digest_that_was_left_out_or_made_with_another_key_is_found() -> None:
    lines = two_days()
    findings = verify_export([*lines[:4], *lines[5:-1], end_line(6)]).findings
    assert any("is missing" in finding for finding in findings)
    later = verify_export([head_line("city", 1, 11), *lines[1:]])
    assert (later.findings, [each.intact for each in later.digests]) == ([], [None, True])
    assert len(later.unknown) == 1
    own = statement.public_hex(KEY)
    assert verify_export(lines, frozenset({own})).findings == []
    assert "not a key that you trust" in verify_export(lines, frozenset({"0" * 64})).findings[0]
    digest = Audit.unpack(b64decode(json.loads(lines[4])["data"]))
    forged = digest.model_copy(update={"detail": digest.detail | {"signature": "0" * 128}})
    assert "is not signed" in verify_export(with_data(lines, 4, forged)).findings[0]
    bare = digest.model_copy(update={"detail": {}})
    assert "cannot be read" in verify_export(with_data(lines, 4, bare)).findings[0]


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [b"\xff\xfe"],
        [b"[]"],
        [b'{"pantau": "audit export 9"}'],
        two_days()[:-1],
        [two_days()[0], b'{"number": 1, "subject": "x", "data": "*", "entry": null}'],
        [two_days()[0], b"[" * 100_000],
        [b'{"pantau": "audit export 1", "site": "city", "after": 1e999, "last": 0}'],
    ],
)
def test_what_is_no_export_or_broke_off_is_unreadable(lines: list[bytes]) -> None:
    with pytest.raises(UnreadableExportError):
        verify_export(lines)


def test_the_command_tells_by_its_status_and_by_words(tmp_path: Path) -> None:
    file = tmp_path / "audit.jsonl"

    def run(lines: list[bytes], *options: str) -> tuple[int, str]:
        file.write_bytes(b"".join(line.rstrip(b"\n") + b"\n" for line in lines))
        result = CliRunner().invoke(audit, ["verify", str(file), *options])
        return result.exit_code, result.output

    status, text = run(two_days(), "--key", statement.public_hex(KEY))
    assert status == 0
    assert "intact: 7 entries of city, 2 digests hold" in text
    assert "unsigned 2 entries" in text
    status, text = run(altered(two_days(), 2, entry={}))
    assert status == 1
    assert "altered: entry 3" in text
    assert run(two_days()[:-1])[0] == 2
    assert run(two_days(), "--quiet") == (0, "")
    bare = [head_line("city", 0, 3), entry_line(viewed(2)), entry_line(viewed(3)), end_line(2)]
    status, text = run(bare)
    assert (status, "intact" in text) == (3, False), "its digests may have been left out"
    assert run([head_line("city", 0, 0), end_line(0)])[0] == 0


def test_a_file_that_was_cut_back_to_an_earlier_digest_is_told_by_one_that_is_known(tmp_path: Path) -> None:
    file, whole = tmp_path / "audit.jsonl", two_days()
    cut = [head_line("city", 0, 6), *whole[1:5], end_line(4)]
    newest = [verify_export(lines).digests[-1].digest for lines in (whole, cut)]

    def run(lines: list[bytes], *options: str) -> tuple[int, list[str]]:
        file.write_bytes(b"".join(line.rstrip(b"\n") + b"\n" for line in lines))
        result = CliRunner().invoke(audit, ["verify", str(file), *options])
        return result.exit_code, result.output.splitlines()

    status, lines = run(cut)
    assert status == 0
    assert lines[0] == (
        f"newest   2026-03-01: digest {newest[1].sha256}; not known: whether newer ones were cut off (see --digest)"
    )
    status, lines = run(cut, "--digest", newest[0].sha256)
    assert (status, lines[-1]) == (
        1, f"altered: the digest {newest[0].sha256} is not there: the file was cut back, or is of other days"
    )  # fmt: skip
    status, lines = run(whole, "--digest", newest[0].sha256.upper())
    assert (status, lines[0]) == (0, f"newest   2026-03-02: digest {newest[0].sha256}")
    assert run(whole, "--digest", newest[1].sha256)[0] == 0, "a newer file has the older digest, too"
