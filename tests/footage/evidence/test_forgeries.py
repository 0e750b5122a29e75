"""Every kind of forgery that we could think of is found: without a key, with another's, with a key that signs anything.

`Case` holds genuine footage of two cameras. A forger with a *signing oracle* has manifests signed as he likes, but no
statements: those are the recorder's own. A forger with *another's key* can sign everything, and is found by ``--key``
and ``--events`` alone.
"""

import asyncio
import hashlib
import io
import json
import struct
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.contracts.events import SegmentClosed
from services.contracts.evidence.manifest import CameraEvidence, ManifestPart
from services.contracts.evidence.statement import Statement, key_id, public_hex, sign
from services.contracts.recordings import FootageGap
from services.footage.evidence.account import find_holes, untold, with_unknown
from services.footage.evidence.container import COMMENT_BYTES, COMMENT_PREFIX, Container
from services.footage.evidence.seals import ReceivedSeals
from services.footage.evidence.verify import UnreadableError, Verdict, verify
from tests.footage.evidence import made

TRUSTED = frozenset({public_hex(made.KEY)})
Segments = list[tuple[Statement, bytes, list[bytes]]]


def chain(camera: str, count: int = 4, *, site: str = "city", recorder: str = "recorder-1") -> Segments:
    """Segments that follow each other."""
    found: Segments = []
    for number in range(count):
        previous = found[-1][0].last_link if found else "cd" * 32
        said, opening, fragments = made.segment(camera, made.START + number * made.SEGMENT_US, previous)
        found.append((said.model_copy(update={"site": site, "recorder": recorder}), opening, fragments))
    return found


@dataclass
class Case:
    """A bundle in the making, and what its forger changes."""

    cameras: list[CameraEvidence] = field(default_factory=list)
    contents: dict[str, bytes] = field(default_factory=dict)
    changes: dict[str, Any] = field(default_factory=dict)
    papers: dict[str, bytes] | None = None

    def add(self, segments: Segments, *gaps: FootageGap, first: int = 1, key: Any = made.KEY) -> None:
        """A camera, from the second fragment of its first segment on."""
        taken: Counter[str] = Counter()
        parts = []
        for number, (said, opening, fragments) in enumerate(segments):
            one, data = made.part(said, opening, fragments, 0 if number else first, key=key, taken=taken)
            parts.append(one)
            self.contents[one.file] = data
        said = segments[0][0]
        self.cameras.append(
            CameraEvidence(camera=said.camera, site=said.site, name="Jl. Ijen", parts=tuple(parts), gaps=gaps)
        )

    def part(self, number: int, **changes: object) -> None:
        """Changes a part of the first camera."""
        parts = list(self.cameras[0].parts)
        parts[number] = parts[number].model_copy(update=changes)
        self.camera(parts=tuple(parts))

    def camera(self, **changes: object) -> None:
        """Changes the first camera."""
        self.cameras[0] = self.cameras[0].model_copy(update=changes)

    def drop(self, number: int) -> ManifestPart:
        """Leaves a part of the first camera out."""
        parts = list(self.cameras[0].parts)
        gone = parts.pop(number)
        del self.contents[gone.file]
        self.camera(parts=tuple(parts))
        return gone

    def replace(self, number: int, data: bytes) -> None:
        """Other content of a part, with its hash and size in the manifest."""
        part = self.cameras[0].parts[number]
        self.contents[part.file] = data
        self.part(number, sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data))

    async def pack(self, **more: Any) -> bytes:
        """The bundle, signed with the recorder's key where nothing else is said."""
        return await made.packed(self.cameras, self.contents, papers=self.papers, **(self.changes | more))


def genuine() -> Case:
    case = Case()
    case.add(chain("cam-1"))
    case.add(chain("cam-2"))
    return case


def checked(path: Path, data: bytes, **how: Any) -> Verdict:
    path.write_bytes(data)
    return verify(path, **how)


def told(verdict: Verdict) -> str:
    return "\n".join(f"{finding.where}: {finding.what}" for finding in verdict.findings)


async def test_what_the_forgeries_are_made_of_is_intact(tmp_path: Path) -> None:
    verdict = checked(tmp_path / "b.zip", await genuine().pack(), trusted_keys=TRUSTED)
    assert verdict.intact, told(verdict)
    assert verdict.unknown == ["whether this is what the recorders announced when they recorded it (no --events)"]


# With a key that signs any manifest


def swap_cameras(case: Case) -> None:
    case.cameras[0], case.cameras[1] = (
        case.cameras[0].model_copy(update={"camera": "cam-2"}),
        case.cameras[1].model_copy(update={"camera": "cam-1"}),
    )


def other_name(case: Case) -> None:
    file = case.cameras[0].parts[1].file
    new = file.replace("cam-1/", "cam-9/")
    case.contents = {new if name == file else name: data for name, data in case.contents.items()}
    case.part(1, file=new)


def later_name(case: Case) -> None:
    file = case.cameras[0].parts[1].file
    new = file[:-9] + "999Z.mp4"
    case.contents = {new if name == file else name: data for name, data in case.contents.items()}
    case.part(1, file=new)


def path_out(case: Case) -> None:
    file = case.cameras[0].parts[1].file
    case.contents = {"../" + name if name == file else name: data for name, data in case.contents.items()}
    case.part(1, file="../" + file)


def same_part_twice(case: Case) -> None:
    part = case.cameras[0].parts[1]
    again = part.model_copy(update={"file": part.file.replace(".mp4", "-2.mp4")})
    case.camera(parts=(*case.cameras[0].parts[:2], again, *case.cameras[0].parts[2:]))
    at = list(case.contents).index(part.file) + 1
    items = list(case.contents.items())
    case.contents = dict([*items[:at], (again.file, case.contents[part.file]), *items[at:]])


def part_left_out(case: Case) -> None:
    case.drop(1)


def part_left_out_with_too_short_a_gap(case: Case) -> None:
    gone = case.drop(1)
    case.camera(gaps=(made.gap(gone.from_us, gone.to_us - 1_200_000),))


def part_left_out_with_a_gap_elsewhere(case: Case) -> None:
    gone = case.drop(1)
    case.camera(gaps=(made.gap(gone.from_us - 10 * made.SEGMENT_US, gone.from_us - 9 * made.SEGMENT_US),))


def part_left_out_for_the_cameras_sake(case: Case) -> None:
    """The next part's seal proves that something was recorded."""
    gone = case.drop(1)
    case.camera(gaps=(FootageGap(from_us=gone.from_us, to_us=gone.to_us, cause="offline"),))


def rest_left_out_for_the_cameras_sake(case: Case) -> None:
    said, opening, fragments = chain("cam-1")[3]
    case.replace(3, opening + b"".join(fragments[:1]))
    to_us = said.start_us + made.FRAGMENT_US
    case.part(3, fragments=1, to_us=to_us)
    case.camera(gaps=(FootageGap(from_us=to_us, to_us=said.end_us, cause="offline"),))
    case.changes["to_us"] = said.end_us


def beginning_cut(case: Case) -> None:
    """0.8 s: shorter than a gap that is reported, but the segment begins before."""
    said, opening, fragments = chain("cam-1")[0]
    case.changes["from_us"] = said.start_us + made.FRAGMENT_US
    one, data = made.part(said, opening, fragments, 2)
    old = case.cameras[0].parts[0].file
    case.contents = {one.file if n == old else n: data if n == old else d for n, d in case.contents.items()}
    case.camera(parts=(one, *case.cameras[0].parts[1:]))


def end_cut(case: Case) -> None:
    said, opening, fragments = chain("cam-1")[3]
    case.changes["to_us"] = said.end_us
    case.replace(3, opening + b"".join(fragments[:-1]))
    case.part(3, fragments=2, to_us=said.end_us - made.FRAGMENT_US)


def growing_for_days(case: Case) -> None:
    """The statement was signed while the segment grew; what came after it is hidden."""
    segments = chain("cam-1", 2)
    said, opening, fragments = segments[1]
    segments[1] = said.model_copy(update={"growing": True, "links": said.links[:2]}), opening, fragments[:2]
    case.cameras, case.contents = [], {}
    case.add(segments)
    case.changes["created_us"] = made.START + 3 * 86_400 * 10**6


def nothing_at_all(case: Case) -> None:
    case.cameras, case.contents = [], {}
    case.changes["from_us"], case.changes["to_us"] = made.START, made.START + 10**9


def first_left_out(case: Case) -> None:
    gone = case.drop(0)
    case.changes["from_us"] = gone.from_us


def last_left_out(case: Case) -> None:
    gone = case.drop(-1)
    case.changes["to_us"] = gone.to_us


def all_left_out(case: Case) -> None:
    for _ in range(4):
        case.drop(0)


def range_widened(case: Case) -> None:
    case.changes["from_us"] = made.START - 60_000_000


def range_widened_behind(case: Case) -> None:
    case.changes["to_us"] = made.START + 600_000_000


def range_elsewhere(case: Case) -> None:
    case.changes |= {"from_us": made.START - 10**9, "to_us": made.START - 9 * 10**8}


def range_turned_round(case: Case) -> None:
    case.changes |= {"from_us": made.START + 4 * made.SEGMENT_US, "to_us": made.START}


def fragments_cut_in_between(case: Case) -> None:
    """The last fragment of a segment, 0.8 s: shorter than a gap that is reported by itself."""
    said, opening, fragments = chain("cam-1")[1]
    case.replace(1, opening + b"".join(fragments[:-1]))
    case.part(1, fragments=2, to_us=said.end_us - made.FRAGMENT_US)


def fragments_cut_at_the_front(case: Case) -> None:
    said, opening, fragments = chain("cam-1")[1]
    case.replace(1, opening + b"".join(fragments[1:]))
    part = case.cameras[0].parts[1]
    name = part.file
    from_us = said.start_us + made.FRAGMENT_US
    one, data = made.part(said, opening, fragments, 1)
    case.contents = {one.file if n == name else n: data if n == name else d for n, d in case.contents.items()}
    case.part(1, first=1, fragments=2, from_us=from_us, file=one.file)


def short_segment_left_out(case: Case) -> None:
    """0.8 s between two parts that lie close: only the chain tells."""
    segments = chain("cam-1", 3)
    said, opening, fragments = segments[1]
    moved, opening, fragments = made.segment("cam-1", said.start_us + made.FRAGMENT_US, "ef" * 32)
    case.cameras, case.contents = [], {}
    case.add([segments[0], (moved, opening, fragments)])


def same_chain_from_another_stream(case: Case) -> None:
    segments = chain("cam-1", 2)
    strange, opening, fragments = made.segment("cam-1", segments[1][0].start_us, "ef" * 32)
    case.cameras, case.contents = [], {}
    case.add([segments[0], (strange, opening, fragments)])


def previous_empty(case: Case) -> None:
    segments = chain("cam-1", 2)
    strange, opening, fragments = made.segment("cam-1", segments[1][0].start_us, "")
    case.cameras, case.contents = [], {}
    case.add([segments[0], (strange, opening, fragments)])


def profile_mixed(case: Case) -> None:
    segments = chain("cam-1", 2)
    said, opening, fragments = segments[1]
    case.cameras, case.contents = [], {}
    case.add([segments[0], (said.model_copy(update={"profile": "sub"}), opening, fragments)])


def two_versions_of_a_segment(case: Case) -> None:
    """The whole segment and what was left of it after thinning, one after the other."""
    segments = chain("cam-1", 2)
    said, opening, fragments = made.segment("cam-1", segments[1][0].start_us, segments[0][0].last_link)
    lied = said.model_copy(update={"path": segments[0][0].path})
    case.cameras, case.contents = [], {}
    case.add([segments[0], (lied, opening, fragments)])


def camera_named_twice(case: Case) -> None:
    case.cameras.append(case.cameras[0].model_copy(update={"parts": (), "gaps": (made.gap(0, 1 << 60),)}))


def parts_in_disorder(case: Case) -> None:
    first, second, third, fourth = case.cameras[0].parts
    case.camera(parts=(first, third, second, fourth))
    names = [first.file, third.file, second.file, fourth.file]
    rest = {name: data for name, data in case.contents.items() if name not in names}
    case.contents = {name: case.contents[name] for name in names} | rest


def unused_key(case: Case) -> None:
    case.changes["keys"] = {key_id(public_hex(key)): public_hex(key) for key in (made.KEY, made.OTHER_KEY)}


def key_in_capitals(case: Case) -> None:
    case.changes["keys"] = {key_id(public_hex(made.KEY)): public_hex(made.KEY).upper()}


def strange_paper(case: Case) -> None:
    case.papers = {"report.html": b"", "README.txt": b"", "more.txt": b"believe it"}


WITH_ORACLE: dict[str, Callable[[Case], None]] = {
    "the site is another": lambda case: case.camera(site="village"),
    "the camera is another": lambda case: case.camera(camera="cam-9"),
    "two cameras' footage is exchanged": swap_cameras,
    "a file is named after another camera": other_name,
    "a file is named after another time": later_name,
    "a file's name leads out of the folder": path_out,
    "a part begins at another hour": lambda case: case.part(1, from_us=made.START + 3_600_000_000),
    "a part begins half a second earlier": lambda case: case.part(
        1, from_us=case.cameras[0].parts[1].from_us - 500_000
    ),
    "a part ends later": lambda case: case.part(-1, to_us=case.cameras[0].parts[-1].to_us + 60_000_000),
    "a part ends half a second later": lambda case: case.part(1, to_us=case.cameras[0].parts[1].to_us + 500_000),
    "a part ends before it begins": lambda case: case.part(1, to_us=0),
    "a part is of no year": lambda case: case.part(1, from_us=1 << 70),
    "a part begins at another fragment": lambda case: case.part(0, first=0),
    "a part has a fragment more": lambda case: case.part(1, fragments=4),
    "a part has a fragment less": lambda case: case.part(1, fragments=2),
    "a part lies about its size": lambda case: case.part(1, size_bytes=7),
    "a part lies about its hash": lambda case: case.part(1, sha256="00" * 32),
    "a part has another's statement": lambda case: case.part(1, statement=case.cameras[0].parts[2].statement),
    "a statement lies about its time": lambda case: case.part(
        1, statement=case.cameras[0].parts[1].statement.model_copy(update={"start_us": 5})
    ),
    "a statement lies about its tier": lambda case: case.part(
        1, statement=case.cameras[0].parts[1].statement.model_copy(update={"tier": "keyframes"})
    ),
    "a statement has another's signature": lambda case: case.part(1, signature=case.cameras[0].parts[2].signature),
    "a signature is in capitals": lambda case: case.part(1, signature=case.cameras[0].parts[1].signature.upper()),
    "a statement is signed with nothing": lambda case: case.part(1, signature=""),
    "a statement has another's key": lambda case: case.part(1, key_id="0" * 16),
    "a part is there twice": same_part_twice,
    "a part is left out": part_left_out,
    "a part is left out, the gap is too short": part_left_out_with_too_short_a_gap,
    "a part is left out, the gap is elsewhere": part_left_out_with_a_gap_elsewhere,
    "a part is left out, the gap blames the camera": part_left_out_for_the_cameras_sake,
    "the rest is left out, the gap blames the camera": rest_left_out_for_the_cameras_sake,
    "0.8 s are cut from the beginning of the range": beginning_cut,
    "0.8 s are cut from the end of the range": end_cut,
    "a segment is said to grow for days": growing_for_days,
    "no camera is in it": nothing_at_all,
    "the beginning is left out": first_left_out,
    "the end is left out": last_left_out,
    "everything is left out": all_left_out,
    "the range begins before the footage": range_widened,
    "the range ends behind the footage": range_widened_behind,
    "the range is another": range_elsewhere,
    "the range ends before it begins": range_turned_round,
    "0.8 s are cut from the end of a part": fragments_cut_in_between,
    "0.8 s are cut from the front of a part": fragments_cut_at_the_front,
    "a segment of 0.8 s is left out": short_segment_left_out,
    "a segment of another chain follows close": same_chain_from_another_stream,
    "a segment without a chain follows close": previous_empty,
    "another profile's footage is among it": profile_mixed,
    "two versions of a segment are one after the other": two_versions_of_a_segment,
    "a camera is named twice": camera_named_twice,
    "parts are not in the order of time": parts_in_disorder,
    "a gap ends before it begins": lambda case: case.camera(gaps=(made.gap(made.START + 10, made.START),)),
    "a key that signed nothing is named": unused_key,
    "a key is in capitals": key_in_capitals,
    "a paper more is named": strange_paper,
    "it was made before it was recorded": lambda case: case.changes.update(created_us=made.START - 2 * 86_400 * 10**6),
    "the format is another": lambda case: case.changes.update(format="pantau-bundle-2"),
}


@pytest.mark.parametrize("forge", WITH_ORACLE.values(), ids=WITH_ORACLE)
async def test_a_manifest_that_says_what_the_statements_do_not_is_found(
    forge: Callable[[Case], None], tmp_path: Path
) -> None:
    case = genuine()
    forge(case)
    verdict = checked(tmp_path / "b.zip", await case.pack(), trusted_keys=TRUSTED)
    assert not verdict.intact
    assert verdict.findings


async def test_a_report_that_says_what_the_manifest_does_not_is_found(tmp_path: Path) -> None:
    case = genuine()
    page, readme = b"<p>nothing was seen</p>", b"believe the report"
    files = {"report.html": hashlib.sha256(page).hexdigest(), "README.txt": hashlib.sha256(readme).hexdigest()}
    data = await made.packed(case.cameras, case.contents, papers={"report.html": page, "README.txt": readme})
    verdict = checked(tmp_path / "b.zip", data, trusted_keys=TRUSTED)
    assert verdict.manifest is not None
    assert verdict.manifest.files == files
    assert {finding.where for finding in verdict.findings} == {"report.html", "README.txt"}
    old = await case.pack(software="pantau 0.0.1")
    assert any("report.html" in text for text in checked(tmp_path / "b.zip", old).unknown)


# Without a key


def resealed(data: bytes | bytearray) -> bytes:
    """With the seal at the end made anew: that needs no key."""
    whole = bytes(data[:-COMMENT_BYTES])
    return whole + COMMENT_PREFIX + hashlib.sha256(whole).hexdigest().encode()


def entries(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def rebuilt(files: dict[str, bytes], *, streamed: Callable[[str], bool] = lambda name: "/" in name) -> bytes:
    container = Container()
    out = b""
    for name, data in files.items():
        out += container.begin(name, streamed=streamed(name)) + container.data(data) + container.end()
    return out + container.close()


def repacked(data: bytes, method: int = zipfile.ZIP_STORED, *, comment: bool = True) -> bytes:
    """As a ZIP tool packs it."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in entries(data).items():
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content, method)
        archive.comment = bytes(COMMENT_BYTES) if comment else b""
    return resealed(out.getvalue()) if comment else out.getvalue()


def edited(data: bytes, name: str, old: bytes, new: bytes) -> bytes:
    files = entries(data)
    assert old in files[name]
    return rebuilt(files | {name: files[name].replace(old, new, 1)})


def central(data: bytes, entry: int, offset: int, value: bytes) -> bytes:
    """A field of a row of the directory."""
    at = -1
    for _ in range(entry + 1):
        at = data.index(b"PK\x01\x02", at + 1)
    return resealed(data[: at + offset] + value + data[at + offset + len(value) :])


def local(data: bytes, offset: int, value: bytes) -> bytes:
    return resealed(data[:offset] + value + data[offset + len(value) :])


def with_prefix(data: bytes) -> bytes:
    """A self-extracting archive: other bytes first, the offsets moved."""
    shift = 64
    out = bytearray(bytes(shift) + data)
    at = len(out) - COMMENT_BYTES - 22
    begin = struct.unpack_from("<L", out, at + 16)[0] + shift
    struct.pack_into("<L", out, at + 16, begin)
    while out[begin : begin + 4] == b"PK\x01\x02":
        name, extra, comment = struct.unpack_from("<3H", out, begin + 28)
        struct.pack_into("<L", out, begin + 42, struct.unpack_from("<L", out, begin + 42)[0] + shift)
        begin += 46 + name + extra + comment
    return resealed(out)


def with_extra_field(data: bytes) -> bytes:
    """In the directory's first row."""
    at = data.index(b"PK\x01\x02")
    name = struct.unpack_from("<H", data, at + 28)[0]
    extra = struct.pack("<2H4s", 0x7075, 4, b"more")
    out = bytearray(data[: at + 46 + name] + extra + data[at + 46 + name :])
    struct.pack_into("<H", out, at + 30, len(extra))
    end = len(out) - COMMENT_BYTES - 22
    struct.pack_into("<L", out, end + 12, struct.unpack_from("<L", out, end + 12)[0] + len(extra))
    return resealed(out)


def with_hidden_entry(data: bytes) -> bytes:
    """Bytes between the last file and the directory, which no row names."""
    at = data.index(b"PK\x01\x02")
    out = bytearray(data[:at] + b"PK\x03\x04 something else" + data[at:])
    end = len(out) - COMMENT_BYTES - 22
    struct.pack_into("<L", out, end + 16, struct.unpack_from("<L", out, end + 16)[0] + 20)
    return resealed(out)


def with_duplicate(data: bytes) -> bytes:
    container = Container()
    out = b""
    for name, content in [*entries(data).items(), ("manifest.json", b"{}")]:
        out += container.begin(name, streamed="/" in name) + container.data(content) + container.end()
    return out + container.close()


def in_other_order(data: bytes) -> bytes:
    files = entries(data)
    names = list(files)
    names[0], names[1] = names[1], names[0]
    return rebuilt({name: files[name] for name in names})


def crossed(data: bytes) -> bytes:
    """Two files of the same length exchanged in the directory alone: what some unpack is not what others do."""
    at = data.index(b"PK\x01\x02")
    second = data.index(b"PK\x01\x02", at + 1)
    out = bytearray(data)
    out[at + 16 : at + 28], out[second + 16 : second + 28] = data[second + 16 : second + 28], data[at + 16 : at + 28]
    out[at + 42 : at + 46], out[second + 42 : second + 46] = data[second + 42 : second + 46], data[at + 42 : at + 46]
    return resealed(out)


WITHOUT_KEY: dict[str, Callable[[bytes], bytes]] = {
    "the manifest says another reason": lambda data: edited(data, "manifest.json", b"tabrak", b"tabrek"),
    "the manifest has a space more": lambda data: edited(data, "manifest.json", b'{"', b'{ "'),
    "the manifest has a field more": lambda data: edited(data, "manifest.json", b"{", b'{"a":1,'),
    "the manifest has a field twice": lambda data: edited(data, "manifest.json", b"{", b'{"asked_by":"Sari",'),
    "the manifest is no JSON": lambda data: edited(data, "manifest.json", b"{", b"["),
    "the manifest's signature is in capitals": lambda data: edited(data, "manifest.sig", b"a", b"A"),
    "the manifest's signature has a space more": lambda data: edited(data, "manifest.sig", b"{", b"{ "),
    "the manifest's signature has a field more": lambda data: edited(data, "manifest.sig", b"{", b'{"a":1,'),
    "the manifest's signature is by another key": lambda data: edited(
        data, "manifest.sig", b'"key_id":"', b'"key_id":"0'
    ),
    "the manifest's signature is no JSON": lambda data: edited(data, "manifest.sig", b"{", b""),
    "the report is another": lambda data: edited(data, "report.html", b"tabrak", b"tabrek"),
    "the read-me is another": lambda data: edited(data, "README.txt", b"PANTAU", b"pantau"),
    "the signature is left out": lambda data: rebuilt(
        {name: content for name, content in entries(data).items() if name != "manifest.sig"}
    ),
    "the manifest is left out": lambda data: rebuilt(
        {name: content for name, content in entries(data).items() if name != "manifest.json"}
    ),
    "the report is left out": lambda data: rebuilt(
        {name: content for name, content in entries(data).items() if name != "report.html"}
    ),
    "a film is left out": lambda data: rebuilt(dict(list(entries(data).items())[1:])),
    "a film is empty": lambda data: rebuilt(entries(data) | {next(iter(entries(data))): b""}),
    "a film is longer": lambda data: rebuilt(
        entries(data) | {next(iter(entries(data))): entries(data)[next(iter(entries(data)))] + b"more"}
    ),
    "two films are exchanged": lambda data: rebuilt(
        entries(data) | dict(zip(list(entries(data))[:2], reversed(list(entries(data).values())[:2]), strict=True))
    ),
    "a file more": lambda data: rebuilt(entries(data) | {"setup.exe": b"MZ"}),
    "a folder more": lambda data: rebuilt(entries(data) | {"cam-1/": b""}),
    "an entry twice": with_duplicate,
    "another order": in_other_order,
    "two rows exchanged": crossed,
    "bytes before the first file": with_prefix,
    "an extra field": with_extra_field,
    "bytes that no row names": with_hidden_entry,
    "all sizes with 64 bits": lambda data: rebuilt(entries(data), streamed=lambda _: True),
    "no size with 64 bits": lambda data: rebuilt(entries(data), streamed=lambda _: False),
    "packed anew": repacked,
    "packed anew without the comment": lambda data: repacked(data, comment=False),
    "packed small": lambda data: repacked(data, zipfile.ZIP_DEFLATED),
    "packed small without the comment": lambda data: repacked(data, zipfile.ZIP_DEFLATED, comment=False),
    "a date": lambda data: central(data, 0, 14, b"\x22\x00"),
    "a time": lambda data: central(data, 0, 12, b"\x01\x00"),
    "a mode": lambda data: central(data, 0, 38, struct.pack("<L", 0o777 << 16)),
    "a symbolic link": lambda data: central(data, 0, 38, struct.pack("<L", 0o120777 << 16)),
    "an internal attribute": lambda data: central(data, 0, 36, b"\x01\x00"),
    "another system": lambda data: central(data, 0, 5, b"\x00"),
    "another version": lambda data: central(data, 0, 6, b"\x3f"),
    "the flag of a cipher": lambda data: central(data, 0, 8, b"\x09"),
    "a method in the directory": lambda data: central(data, 0, 10, b"\x08"),
    "a checksum in the directory": lambda data: central(data, 0, 16, bytes(4)),
    "a disk": lambda data: central(data, 0, 34, b"\x01"),
    "an offset": lambda data: central(data, 1, 42, bytes(4)),
    "a name in the directory": lambda data: central(data, 0, 46, b"x"),
    "a method before a file": lambda data: local(data, 8, b"\x08"),
    "a date before a file": lambda data: local(data, 12, b"\x22"),
    "a name before a file": lambda data: local(data, 30, b"x"),
    "bytes behind the seal": lambda data: data + b"more",
    "the seal is cut off": lambda data: data[:-COMMENT_BYTES],
}


@pytest.mark.parametrize("forge", WITHOUT_KEY.values(), ids=WITHOUT_KEY)
async def test_a_container_of_any_other_form_is_altered(forge: Callable[[bytes], bytes], tmp_path: Path) -> None:
    data = await genuine().pack()
    assert rebuilt(entries(data)) == data
    forged = forge(data)
    assert forged != data
    verdict = checked(tmp_path / "b.zip", forged, trusted_keys=TRUSTED)
    assert verdict.findings, "the exit status is 1"
    assert not verdict.intact


# Bombs


def deflated_bomb(*, comment: bool, lies: bool = False, name: str = "manifest.json") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open(name, "w") as entry:
            for _ in range(64):
                entry.write(bytes(1 << 20))
        if name != "manifest.json":
            archive.writestr("manifest.json", "{}")
        archive.comment = bytes(COMMENT_BYTES) if comment else b""
    data = bytearray(out.getvalue())
    if lies:
        at = data.index(b"PK\x01\x02")
        struct.pack_into("<L", data, at + 24, 10)
    return resealed(data) if comment else bytes(data)


def overlapping_bomb() -> bytes:
    """Many rows of one and the same file."""
    data = rebuilt({"manifest.json": b"{}" * 50_000})
    at, end = data.index(b"PK\x01\x02"), len(data) - COMMENT_BYTES - 22
    rows = data[at:end] * 1000
    tail = bytearray(data[end:])
    struct.pack_into("<2HL", tail, 8, 1000, 1000, len(rows))
    return resealed(data[:at] + rows + tail)


BOMBS: dict[str, Callable[[], bytes]] = {
    "a manifest of zeros, packed": lambda: deflated_bomb(comment=True),
    "a manifest of zeros, packed, without a seal": lambda: deflated_bomb(comment=False),
    "a manifest of zeros, packed, which says that it is small": lambda: deflated_bomb(comment=True, lies=True),
    "a film of zeros, packed": lambda: deflated_bomb(comment=True, name="cam-1/a.mp4"),
    "rows that share a file": overlapping_bomb,
    "a manifest of 17 MB": lambda: rebuilt({"manifest.json": b" " * (17 << 20)}),
    "boxes in boxes": lambda: rebuilt({"manifest.json": b'{"cameras":' + b"[" * 1_000_000}),
    "nothing": lambda: b"",
    "a ZIP of holiday photographs": lambda: repacked(rebuilt({"a.jpg": b"x"}), comment=False),
}


@pytest.mark.parametrize("make", BOMBS.values(), ids=BOMBS)
def test_a_bomb_is_unreadable_and_costs_no_memory(make: Callable[[], bytes], tmp_path: Path) -> None:
    import tracemalloc

    path = tmp_path / "b.zip"
    path.write_bytes(make())
    tracemalloc.start()
    try:
        with pytest.raises(UnreadableError):
            verify(path)
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()


# With another's key


def other_footage(case: Case) -> None:
    """Everything made by another recorder that calls itself by the same name."""
    case.cameras, case.contents = [], {}
    segments = [
        (said.model_copy(update={"previous": "ab" * 32}) if not number else said, opening, fragments)
        for number, (said, opening, fragments) in enumerate(chain("cam-1"))
    ]
    case.add(segments, key=made.OTHER_KEY)


def one_other_part(case: Case) -> None:
    part = case.cameras[0].parts[1]
    other = sign(made.OTHER_KEY, part.statement.to_bytes())
    case.part(1, signature=other, key_id=key_id(public_hex(made.OTHER_KEY)))


@pytest.mark.parametrize(
    "forge", [other_footage, one_other_part, lambda _: None], ids=["all", "a part", "the manifest"]
)
@pytest.mark.parametrize("manifest_key", [made.KEY, made.OTHER_KEY], ids=["own manifest", "other manifest"])
async def test_another_key_is_found_where_the_recorders_is_known(
    forge: Callable[[Case], None], manifest_key: Any, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    case = genuine()
    forge(case)
    data = await case.pack(key=manifest_key)
    untouched = request.node.callspec.id == "own manifest-the manifest"
    assert checked(tmp_path / "b.zip", data, trusted_keys=TRUSTED).intact is untouched
    blind = checked(tmp_path / "b.zip", data)
    assert "no --key" in blind.unknown[0]


def event(said: Statement, **changes: object) -> SegmentClosed:
    signed = sign(made.KEY, said.to_bytes())
    made_event = SegmentClosed(
        site=said.site, camera=said.camera, recorder=said.recorder, at_us=said.end_us, profile=said.profile,
        path=said.path, from_us=said.start_us, to_us=said.end_us, size_bytes=1, frames=1, keyframes=1, codec="h264",
        chain_hash=said.last_link, signature=signed, key_id="", public_key=public_hex(made.KEY),
    )  # fmt: skip
    return made_event.model_copy(update=changes)


def received(tmp_path: Path, form: str, *segments: Statement) -> ReceivedSeals:
    dumps = [event(said).model_dump(mode="json") for said in segments]
    path = tmp_path / "events"
    if form == "lines":
        path.write_text("".join(json.dumps(item) + "\n" for item in dumps))
    elif form == "array":
        path.write_text(json.dumps(dumps))
    elif form == "cloud events":
        kind = "pantau.v1.recording.segment_closed"
        other = json.dumps({"type": "pantau.v1.camera.online", "data": {"camera": "cam-1"}}) + "\n"
        path.write_text(other + "".join(json.dumps({"type": kind, "data": item}) + "\n" for item in dumps))
    else:
        path.write_text(
            "retry: 2000\n\n"
            + "".join(f"event: recording.segment_closed\nid: 1\ndata: {json.dumps(item)}\n\n" for item in dumps)
        )
    return ReceivedSeals.read(path)


@pytest.mark.parametrize("form", ["lines", "array", "cloud events", "server-sent events"])
async def test_the_seals_that_were_received_vouch_for_a_genuine_bundle(form: str, tmp_path: Path) -> None:
    seals = received(tmp_path, form, *(said for name in ("cam-1", "cam-2") for said, *_ in chain(name)))
    verdict = checked(tmp_path / "b.zip", await genuine().pack(), trusted_keys=TRUSTED, received=seals)
    assert verdict.intact, told(verdict)
    assert verdict.unknown == []


async def test_seals_of_another_owners_camera_of_that_name_say_nothing_of_this_one(tmp_path: Path) -> None:
    ours = [said for name in ("cam-1", "cam-2") for said, *_ in chain(name)]
    theirs = [said.model_copy(update={"site": "mall", "links": ("ee" * 32,)}) for said in ours]
    seals = received(tmp_path, "lines", *ours, *theirs)
    verdict = checked(tmp_path / "b.zip", await genuine().pack(), trusted_keys=TRUSTED, received=seals)
    assert verdict.intact, told(verdict)
    seals = received(tmp_path, "lines", *theirs)
    verdict = checked(tmp_path / "b.zip", await genuine().pack(), trusted_keys=TRUSTED, received=seals)
    assert verdict.intact, told(verdict)
    assert "no event speaks of them" in verdict.unknown[0]


async def test_a_bundle_of_other_footage_is_not_what_was_received(tmp_path: Path) -> None:
    said = [said for said, *_ in chain("cam-1")]
    case = genuine()
    true = [one.model_copy(update={"links": (*one.links[:-1], "ee" * 32)}) for one in said]
    verdict = checked(tmp_path / "b.zip", await case.pack(), received=received(tmp_path, "lines", *true))
    assert "its last seal is not the one that was received" in told(verdict)
    moved = [one.model_copy(update={"path": "elsewhere", "links": ("ee" * 32,)}) for one in said]
    verdict = checked(tmp_path / "b.zip", await case.pack(), received=received(tmp_path, "lines", *moved))
    assert "nothing was received of this segment" in told(verdict)


async def test_another_statement_over_the_same_seals_is_not_what_was_received(tmp_path: Path) -> None:
    case = Case()
    case.add(chain("cam-1"), key=made.OTHER_KEY)
    seals = received(tmp_path, "lines", *(said for said, *_ in chain("cam-1")))
    verdict = checked(tmp_path / "b.zip", await case.pack(key=made.OTHER_KEY), received=seals)
    assert told(verdict).count("signed it otherwise") == 4


async def test_footage_that_was_announced_and_is_left_out_is_found_behind_a_false_gap(tmp_path: Path) -> None:
    case = Case()
    case.add(chain("cam-1"))
    gone = case.drop(1)
    seals = received(tmp_path, "lines", *(said for said, *_ in chain("cam-1")))
    for cause, left_out in (("recorder-down", True), ("expired", False)):
        case.camera(gaps=(FootageGap(from_us=gone.from_us, to_us=gone.to_us, cause=cause),))
        verdict = checked(tmp_path / "b.zip", await case.pack(), received=seals)
        assert ("was recorded, and is left out" in told(verdict)) is left_out
        assert any("1 segments that were announced are gone" in text for text in verdict.unknown)
    assert verdict.intact, told(verdict)


async def test_what_was_thinned_is_vouched_for_only_as_what_it_was_made_from_and_said_so(tmp_path: Path) -> None:
    """Who has the key and the disk can thin pictures that nobody recorded; the event is of the segment before."""
    segments = chain("cam-1")
    seals = received(tmp_path, "lines", *(said for said, *_ in segments))
    said, opening, fragments = segments[1]
    changes = {"tier": "keyframes", "links": said.links[:2], "thinned_from": said.last_link}
    segments[1] = said.model_copy(update=changes), opening, fragments[:2]
    case = Case()
    case.add(segments)
    verdict = checked(tmp_path / "b.zip", await case.pack(), received=seals)
    assert verdict.intact, told(verdict)
    assert any("1 thinned files" in text for text in verdict.unknown)


async def test_two_keys_under_one_recorders_name_are_told(tmp_path: Path) -> None:
    case = genuine()
    one_other_part(case)
    verdict = checked(tmp_path / "b.zip", await case.pack(), trusted_keys=TRUSTED | {public_hex(made.OTHER_KEY)})
    assert verdict.intact, told(verdict)
    names = sorted(key_id(public_hex(key)) for key in (made.KEY, made.OTHER_KEY))
    assert f"whether {', '.join(names)} are all keys of recorder-1" in verdict.unknown


async def test_a_segment_that_was_growing_is_vouched_for_by_no_event_and_said_so(tmp_path: Path) -> None:
    segments = chain("cam-1")
    said, opening, fragments = segments[-1]
    segments[-1] = said.model_copy(update={"growing": True}), opening, fragments
    case = Case()
    case.add(segments)
    seals = received(tmp_path, "lines", *(one for one, *_ in segments[:-1]))
    verdict = checked(tmp_path / "b.zip", await case.pack(), received=seals)
    assert verdict.intact, told(verdict)
    assert any("1 files" in text for text in verdict.unknown)


# What the exporter adds is what the verifier asks for

spans = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 20), st.booleans()), max_size=8)


@settings(max_examples=150, deadline=None)
@given(spans, st.lists(st.tuples(st.integers(0, 80), st.integers(0, 20)), max_size=5))
def test_gaps_are_added_until_nothing_is_untold(
    spans: list[tuple[int, int, bool]], told: list[tuple[int, int]]
) -> None:
    second = 500_000
    parts = [part_of(begin * second, (begin + length) * second, linked) for begin, length, linked in spans]
    gaps = [FootageGap(from_us=at * second, to_us=(at + length) * second, cause="told") for at, length in told]
    whole = with_unknown(parts, gaps, 0, 80 * second)
    assert list(untold(find_holes(parts, 0, 80 * second), whole, 80 * second)) == []
    assert [gap for gap in whole if gap.cause == "told"] == sorted(gaps, key=lambda gap: (gap.from_us, gap.to_us))


TEMPLATE = made.two_segments()[0].parts[0]


def part_of(from_us: int, to_us: int, linked: bool) -> ManifestPart:
    links = (f"{from_us:064x}",)
    said = TEMPLATE.statement.model_copy(
        update={"opening": f"{to_us:064x}", "links": links, "previous": "" if linked else "ab" * 32}
    )
    return TEMPLATE.model_copy(
        update={"statement": said, "first": 0, "fragments": 1, "from_us": from_us, "to_us": to_us}
    )


@pytest.fixture(scope="module")
def whole() -> bytes:
    case = Case()
    case.add(chain("cam-1", 2))
    return asyncio.run(case.pack())


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 80), st.binary(max_size=80)), min_size=1, max_size=4),
    st.booleans(),
)
def test_no_cut_and_paste_is_intact_nor_breaks_the_check(
    whole: bytes, tmp_path: Path, edits: list[tuple[float, int, bytes]], seal: bool
) -> None:
    """``edits``: where, how many bytes are replaced, and by which; the seal at the end is made anew or not."""
    data = whole
    for where, gone, new in edits:
        at = int(where * (len(data) - (COMMENT_BYTES if seal else 0)))
        data = data[:at] + new + data[at + gone :]
    data = resealed(data) if seal else data
    path = tmp_path / "b.zip"
    path.write_bytes(data)
    try:
        assert verify(path).intact is (data == whole)
    except UnreadableError:
        assert data != whole
