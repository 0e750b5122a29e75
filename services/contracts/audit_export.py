"""The audit as a file: its entries byte for byte, so that the signed digests among them are checked offline.

JSON lines, in UTF-8: a head, entries in the order of their numbers, an end. The file has every entry with a number
above ``after`` and up to ``last`` that was kept when it was made. Of each entry ``subject`` and ``data`` (base64) are
signed; ``entry`` is the same for readers.
"""

import binascii
import json
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from services.contracts.audit_digest import DIGEST_ACTION, AuditDigest, AuditHash
from services.contracts.errors import PantauError
from services.contracts.events import Audit

FORMAT: Final = "audit export 1"


class UnreadableExportError(PantauError):
    """The file is no export of the audit, or a part of one."""

    code = "unreadable-export"


class AuditRecord(NamedTuple):
    """One entry as its stream has it."""

    number: int
    subject: str
    data: bytes

    def event(self) -> Audit | None:
        """What it says; None where it is of another version."""
        try:
            return Audit.unpack(self.data)
        except ValueError:
            return None

    def readable(self) -> dict[str, Any] | None:
        """The same for readers of the file."""
        event = self.event()
        return event.model_dump(mode="json") if event is not None else None


def head_line(site: str, after: int, last: int) -> bytes:
    """The first line."""
    return _line({"pantau": FORMAT, "site": site, "after": after, "last": last})


def entry_line(record: AuditRecord) -> bytes:
    """The line of an entry."""
    return _line(
        {
            "number": record.number,
            "subject": record.subject,
            "data": b64encode(record.data).decode(),
            "entry": record.readable(),
        }
    )


def end_line(entries: int) -> bytes:
    """The last line: a file without it broke off."""
    return _line({"end": entries})


class CheckedDigest(NamedTuple):
    """A digest of the file, and whether the file has its entries as they were signed; None: it has not all of them."""

    digest: AuditDigest
    key: str
    recorder: str
    intact: bool | None


@dataclass
class ExportVerdict:
    """What a file was found to be."""

    site: str
    entries: int = 0
    unsigned: int = 0
    """Entries behind the newest digest: the next one covers them."""
    digests: list[CheckedDigest] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    """Each is something that was altered."""

    @property
    def unknown(self) -> list[str]:
        """What the file cannot show."""
        return [
            f"the digest of {each.digest.day} covers entries from before this file, or that retention has removed"
            for each in self.digests
            if each.intact is None
        ]


def verify_export(
    lines: Iterable[bytes], trusted: frozenset[str] = frozenset(), known_sha256: str = ""
) -> ExportVerdict:
    """Holds an export against the digests in it. ``trusted``: recorders' public keys; empty: any key will do.
    ``known_sha256``: of a digest that the file must have, for a file that was cut back to an older one is intact by
    itself; empty: it is not looked for.

    Raises `UnreadableExportError`.
    """
    source = iter(lines)
    records = _records(source)
    head, _ = next(records)
    verdict = ExportVerdict(head["site"])
    after, last = head["after"], head["last"]
    waiting: list[AuditRecord] = []
    """Entries that no digest has covered yet."""
    number = after
    for line, record in records:
        if record is None:
            if line["end"] != verdict.entries:
                verdict.findings.append(f"{verdict.entries} entries are there of {line['end']}")
            if any(text.strip() for text in source):
                verdict.findings.append("lines stand behind the file's end")
            break
        if not number < record.number <= last:
            verdict.findings.append(f"entry {record.number} stands in the wrong place")
        number = record.number
        verdict.entries += 1
        if line["entry"] != record.readable():
            verdict.findings.append(f"entry {number} does not say what was signed")
        event = record.event()
        if event is not None and event.action == DIGEST_ACTION:
            digest = AuditDigest.of_detail(event.detail)
            if digest is None:
                verdict.findings.append(f"entry {number} is a digest that cannot be read")
            else:
                _check(verdict, digest, event.detail, waiting, after, trusted)
                waiting = [each for each in waiting if each.number > digest.last]
        waiting.append(record)
    else:
        raise UnreadableExportError("the file broke off: its end is missing")
    verdict.unsigned = len(waiting)
    if known_sha256 and known_sha256.lower() not in {each.digest.sha256 for each in verdict.digests}:
        verdict.findings.append(f"the digest {known_sha256} is not there: the file was cut back, or is of other days")
    return verdict


def _check(
    verdict: ExportVerdict,
    digest: AuditDigest,
    detail: dict[str, str],
    waiting: list[AuditRecord],
    file_after: int,
    trusted: frozenset[str],
) -> None:
    key, recorder = detail.get("key", ""), detail.get("recorder", "")
    name = f"the digest of {digest.day}"
    if not digest.is_signed(key, detail.get("signature", "")):
        verdict.findings.append(f"{name} is not signed by the key that it names")
    if digest.site != verdict.site:
        verdict.findings.append(f"{name} is of the site {digest.site}, and the file says {verdict.site}")
    if trusted and key not in trusted:
        verdict.findings.append(f"{name} is signed by {key or 'nobody'}, which is not a key that you trust")
    if verdict.digests:
        before = verdict.digests[-1].digest
        if (before.last, before.sha256) != (digest.after, digest.previous):
            verdict.findings.append(f"{name} does not follow the one of {before.day}: digests are missing between them")
    elif digest.after > file_after and any(each.number <= digest.after for each in waiting):
        verdict.findings.append(
            f"entries up to number {digest.after} are in no digest: the one before {name} is missing"
        )
    intact: bool | None = None
    if digest.after >= file_after:
        found = AuditHash()
        for each in waiting:
            if digest.after < each.number <= digest.last:
                found.add(each.subject, each.data)
        intact = (found.entries, found.hexdigest()) == (digest.entries, digest.sha256)
        if not intact:
            verdict.findings.append(
                f"{name} was made of {digest.entries} entries that are not the {found.entries} of this file: "
                "some are altered, missing or added"
            )
    verdict.digests.append(CheckedDigest(digest, key, recorder, intact))


def _records(lines: Iterator[bytes]) -> Iterator[tuple[dict[str, Any], AuditRecord | None]]:
    """The head and the end with None, entries with their record."""
    try:
        head = json.loads(next(lines, b""))
        if head["pantau"] != FORMAT:
            raise UnreadableExportError(f"the file is {head['pantau']!r}, and this version reads {FORMAT!r}")
        yield {"site": str(head["site"]), "after": int(head["after"]), "last": int(head["last"])}, None
        for text in lines:
            line = json.loads(text)
            if "end" in line:
                yield {"end": int(line["end"])}, None
                return
            data = b64decode(line["data"], validate=True)
            yield {"entry": line["entry"]}, AuditRecord(int(line["number"]), str(line["subject"]), data)
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError, binascii.Error) as error:
        raise UnreadableExportError("the file is no export of the audit: a line cannot be read") from error


def _line(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
