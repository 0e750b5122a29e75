"""Reads import files: CSV and JSON to rows of fields that are not validated yet.

Pure: text in, rows out. The columns are described in docs/guide/cameras.md; the names in `COLUMNS` are theirs.
"""

import csv
import io
import re
from collections.abc import Container, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any, Final, Literal

from pydantic_core import from_json

from services.contracts.catalogue import ImportRow, RowProblem, id_from_name, take_credentials
from services.contracts.errors import InvalidInputError
from services.contracts.redact import redact, split_credentials

MAX_ROWS: Final = 10_000
MAX_COLUMNS: Final = 200
COLUMNS: Final[dict[str, tuple[str, ...]]] = {
    "id": ("camera_id", "camera", "kode", "code"),
    "site": ("situs",),
    "name": ("nama", "camera_name", "nama_kamera", "title"),
    "main_url": ("url", "main", "rtsp", "rtsp_url", "stream", "stream_url", "source"),
    "sub_url": ("sub", "substream", "sub_stream", "url_sub"),
    "username": ("user", "login", "pengguna"),
    "password": ("pass", "pwd", "kata_sandi", "sandi"),
    "latitude": ("lat", "lintang"),
    "longitude": ("lon", "lng", "long", "bujur"),
    "bearing": ("heading", "azimuth", "arah"),
    "address": ("alamat", "lokasi"),
    "tags": ("tag", "label", "labels", "group", "groups", "kelompok"),
    "audio": ("suara",),
    "record": ("recording", "recorded", "rekam"),
    "enabled": ("active", "aktif"),
    "copies": ("salinan",),
    "priority": ("prioritas",),
    "pin": (),
    "retention": ("retensi",),
    "transport": (),
    "reader": (),
}
"""Each column with its other names."""

_ALIASES: Final = {alias: name for name, aliases in COLUMNS.items() for alias in (name, *aliases)}
_NESTED: Final = frozenset({"location", "profiles", "credentials", "privacy_masks", "unmasked_roles"})
_NOT_INPUT: Final = frozenset({"state", "has_credentials", "recorders", "revision"})
"""Fields that only a listing has; they are ignored, so that a listing can be imported again."""
_NULLABLE: Final = frozenset({"credentials", "retention"})
"""Fields that null removes; null in any other field means nothing, as an empty cell does."""
_TRUE: Final = frozenset({"1", "true", "yes", "y", "on", "ya", "aktif"})
_FALSE: Final = frozenset({"0", "false", "no", "n", "off", "tidak", "nonaktif"})


class RowError(ValueError):
    """A row cannot be read: ``code`` says why to programs, the text to people who read logs."""

    def __init__(self, code: RowProblem, detail: str, column: str = "") -> None:
        super().__init__(detail)
        self.code: RowProblem = code
        self.column = column


@dataclass(frozen=True)
class ParsedRow:
    """One row: its camera's id and fields, or the problem that makes it unreadable.

    ``given`` has the shape of a `CameraPatch`, not validated yet. Its objects (location, each profile, credentials) may
    be partial; `changes.completed` fills them from the known camera.
    """

    number: int
    id: str = ""
    given: dict[str, Any] = field(default_factory=dict)
    problem: str = ""
    code: RowProblem = ""
    """Of the problem."""
    column: str = ""
    """The column that the problem is in; empty where it is in none or several."""


@dataclass(frozen=True)
class ParsedTable:
    """The rows of a file, and the columns that were ignored because nobody knows them."""

    rows: list[ParsedRow]
    ignored: tuple[str, ...] = ()
    kind: Literal["columns", "keys"] = "columns"

    @property
    def notes(self) -> tuple[str, ...]:
        """The same for people who read logs."""
        return (f"{self.kind} that are not known were ignored: {', '.join(self.ignored)}",) if self.ignored else ()


def parse(format: str, content: str) -> ParsedTable:  # noqa: A002 (the field's name in the request)
    """The rows of a file; raises `InvalidInputError` where it is not in ``format``."""
    return _parse_json(content) if format == "json" else _parse_csv(content)


REFUSED_COLUMNS: Final = ("refused_row", "refused_code", "refused_column", "refused_detail")
"""What a file of refused rows says in front of the columns that were given. An import ignores them."""


def refused_csv(format: str, content: str, refused: Mapping[int, ImportRow]) -> str:  # noqa: A002
    """The refused rows of a file that `parse` has read, as CSV without passwords; ``refused`` by their numbers.

    Of CSV the cells as they were given, of JSON the columns that an import knows.
    """
    given = dict(_json_cells(content)) if format == "json" else None
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    if given is not None:
        header = [name for name in COLUMNS if any(name in given.get(number, {}) for number in refused)]
        cells = {number: [given.get(number, {}).get(name, "") for name in header] for number in refused}
    else:
        header, cells = _csv_cells(content, refused)
    writer.writerow([*REFUSED_COLUMNS, *header])
    for number, row in sorted(refused.items()):
        own = [_without_secrets(name, cell) for name, cell in zip_longest(header, cells.get(number, []), fillvalue="")]
        writer.writerow([number, row.code, row.column, row.detail, *own])
    return out.getvalue()


def _without_secrets(header: str, cell: str) -> str:
    column = _column(header)
    if column == "password":
        return ""
    if column in ("main_url", "sub_url"):
        with suppress(ValueError):
            return redact(split_credentials(cell.strip())[0])
    return redact(cell)


def _csv_cells(content: str, numbers: Container[int]) -> tuple[list[str], dict[int, list[str]]]:
    lines = _csv_lines(content)
    _, header = next(lines, (1, list[str]()))
    kept = [place for place, name in enumerate(header) if not _is_refusal(name)]
    found: dict[int, list[str]] = {}
    for line, cells in lines:
        if line in numbers:
            own = [cells[place] if place < len(cells) else "" for place in kept]
            found[line] = [*own, *cells[len(header) :]]
    return [header[place] for place in kept], found


def _json_cells(content: str) -> Iterator[tuple[int, dict[str, str]]]:
    parsed = from_json(content)
    for number, entry in enumerate(parsed["cameras"] if isinstance(parsed, dict) else parsed, start=1):
        if not isinstance(entry, dict):
            continue
        flat: dict[str, Any] = {name: value for key, value in entry.items() if (name := _column(key)) is not None}
        for name in ("location", "credentials"):
            flat |= entry[name] if isinstance(entry.get(name), dict) else {}
        profiles = entry.get("profiles")
        for profile, value in (profiles if isinstance(profiles, dict) else {}).items():
            flat[f"{profile}_url"] = value.get("url", "") if isinstance(value, dict) else value
        yield number, {name: _cell(value) for name, value in flat.items() if value is not None}


def _cell(value: Any) -> str:
    return "|".join(map(str, value)) if isinstance(value, list) else str(value)


def _is_refusal(header: str) -> bool:
    return header.strip().lower() in REFUSED_COLUMNS


def _column(header: str) -> str | None:
    return _ALIASES.get(re.sub(r"[^a-z0-9]+", "_", header.strip().lower()).strip("_"))


def _parse_csv(content: str) -> ParsedTable:
    lines = _csv_lines(content)
    first, header = next(lines, (1, list[str]()))
    if len(header) > MAX_COLUMNS:
        raise InvalidInputError(f"line {first} names {len(header)} columns; at most {MAX_COLUMNS} are taken")
    columns = [_column(name) for name in header]
    if "main_url" not in columns or not {"id", "name"} & set(columns):
        raise InvalidInputError(
            f"line {first} must name the columns, at least 'name' (or 'id') and 'main_url'; "
            f"it names {', '.join(repr(name) for name in header) or 'nothing'}"
        )
    doubled = sorted({name for name in columns if name and columns.count(name) > 1})
    if doubled:
        raise InvalidInputError(f"line {first} names a column twice: {', '.join(doubled)}")
    _, _, delimiter = _table(content)
    rows: list[ParsedRow] = []
    for line, cells in lines:
        if any(cell.strip() for cell in cells):
            if len(rows) == MAX_ROWS:
                raise InvalidInputError(f"an import takes at most {MAX_ROWS} cameras, this has more; split it")
            rows.append(_csv_row(line, columns, cells, delimiter))
    unknown = [name for name, column in zip(header, columns, strict=True) if column is None and name.strip()]
    return ParsedTable(rows, tuple(name for name in unknown if not _is_refusal(name)))


_LINE_END: Final = r"(?:\r\n|\r|\n)"
_PREAMBLE: Final = re.compile(
    r"""(?:[ ,;\t\r\n]*[\r\n])?(?:"?sep=(?P<delimiter>[,;\t])"?[ ,;\t\r\n]*[\r\n])?""", re.IGNORECASE
)
"""What spreadsheets write before the header: empty rows, and Excel's line that names the delimiter.

It repeats no group: `re` keeps some 180 bytes for each repetition, and a file may be four million empty lines.
"""


def _table(content: str) -> tuple[int, str, str]:
    """How many lines stand before the header, the text from it on, and its delimiter."""
    preamble = _PREAMBLE.match(content)
    if preamble is None:
        raise AssertionError("unreachable: it matches no text, too")
    table = content[preamble.end() :]
    header = re.split(_LINE_END, table, maxsplit=1)[0]
    delimiter = preamble["delimiter"] or max(",;\t", key=re.sub(r'"[^"]*"', "", header).count)
    return len(re.findall(_LINE_END, preamble[0])), table, delimiter


def _csv_lines(content: str) -> Iterator[tuple[int, list[str]]]:
    """Each row's first line, from 1, and its cells, the header's first; raises `InvalidInputError`."""
    before, table, delimiter = _table(content)
    reader = csv.reader(io.StringIO(table, newline=""), delimiter=delimiter, skipinitialspace=True)
    line = before + 1
    try:
        for cells in reader:
            yield line, cells
            line = before + reader.line_num + 1
    except csv.Error as error:
        raise InvalidInputError(f"line {before + reader.line_num} is no CSV: {error}") from error


def _csv_row(line: int, columns: list[str | None], cells: list[str], delimiter: str) -> ParsedRow:
    if any(cell.strip() for cell in cells[len(columns) :]):
        problem = f"has {len(cells)} cells for {len(columns)} columns; quote a cell that has {delimiter!r} in it"
        return ParsedRow(line, problem=problem, code="cells")
    flat = {name: cell.strip() for name, cell in zip(columns, cells, strict=False) if name and cell.strip()}
    return _row(line, flat, {})


def _parse_json(content: str) -> ParsedTable:
    try:
        parsed = from_json(content)
    except ValueError as error:
        raise InvalidInputError(f"this is no JSON: {error}") from error
    if isinstance(parsed, dict) and isinstance(parsed.get("cameras"), list):
        parsed = parsed["cameras"]
    if not isinstance(parsed, list):
        raise InvalidInputError('the file must be a list of cameras, or an object with such a list as "cameras"')
    if len(parsed) > MAX_ROWS:
        raise InvalidInputError(f"an import takes at most {MAX_ROWS} cameras, this has {len(parsed)}; split it")
    rows: list[ParsedRow] = []
    unknown: set[str] = set()
    for number, entry in enumerate(parsed, start=1):
        if not isinstance(entry, dict):
            rows.append(ParsedRow(number, problem="is no object", code="no-object"))
            continue
        flat: dict[str, Any] = {}
        nested: dict[str, Any] = {}
        for key, value in entry.items():
            if key in _NOT_INPUT or (value is None and key not in _NULLABLE):
                continue
            if key in _NESTED:
                nested[key] = value
            elif (column := _column(key)) is not None:
                flat[column] = value
            else:
                unknown.add(key)
        rows.append(_row(number, flat, nested))
    return ParsedTable(rows, tuple(sorted(unknown)), "keys")


def _row(number: int, flat: dict[str, Any], nested: dict[str, Any]) -> ParsedRow:
    name = flat.get("name")
    camera = str(flat["id"]).strip() if flat.get("id") else id_from_name(name) if isinstance(name, str) else ""
    if not camera:
        problem = "names no camera: give an id, or a name with letters or digits in it"
        return ParsedRow(number, problem=problem, code="no-camera")
    try:
        return ParsedRow(number, camera, take_credentials(_given(flat, nested)))
    except RowError as error:
        return ParsedRow(number, camera, problem=str(error), code=error.code, column=error.column)
    except ValueError as error:
        return ParsedRow(number, camera, problem=str(error), code="invalid")


def _given(flat: dict[str, Any], nested: dict[str, Any]) -> dict[str, Any]:
    """The fields of a `CameraPatch`; raises ``ValueError`` that names the column."""
    given: dict[str, Any] = dict(nested)
    for name in ("site", "name", "pin", "retention"):
        if name in flat:
            given[name] = flat[name]
    for name in ("audio", "record", "enabled"):
        if name in flat:
            given[name] = _boolean(name, flat[name])
    for name in ("copies", "priority"):
        if name in flat:
            given[name] = flat[name]
    if "tags" in flat:
        given["tags"] = _tags(flat["tags"])
    degrees = ("latitude", "longitude", "bearing")
    location: dict[str, Any] = {name: _degrees(name, flat[name]) for name in degrees if name in flat}
    if "address" in flat:
        location["address"] = flat["address"]
    if location:
        given["location"] = {**_object("location", given), **location}
    profiles = {
        name: {"url": flat[column], **{key: flat[key] for key in ("transport", "reader") if key in flat}}
        for name, column in (("main", "main_url"), ("sub", "sub_url"))
        if column in flat
    }
    if profiles:
        given["profiles"] = {**_object("profiles", given), **profiles}
    if "username" in flat:
        given["credentials"] = {"username": str(flat["username"])}
        if "password" in flat:
            given["credentials"]["password"] = str(flat["password"])
    elif "password" in flat:
        raise RowError("password-alone", "has a password but no username", "password")
    return given


def _object(name: str, given: dict[str, Any]) -> dict[str, Any]:
    """The row's JSON object ``name`` beside its flat columns; empty where it has none."""
    value = given.get(name) or {}
    if not isinstance(value, dict):
        raise RowError("no-object", f"{name}: {value!r} is no object", name)
    return value


def _tags(value: Any) -> Any:
    return [tag.strip() for tag in re.split(r"[|;,]", value) if tag.strip()] if isinstance(value, str) else value


def _boolean(name: str, value: Any) -> bool:
    text = str(value).strip().lower()
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise RowError("no-boolean", f"{name}: {value!r} is neither yes nor no", name)


def _degrees(name: str, value: Any) -> float | None:
    """Degrees; a decimal comma is taken where a spreadsheet wrote one."""
    if value is None or isinstance(value, int | float):
        return value
    text = str(value).strip()
    try:
        return float(text.replace(",", ".") if text.count(",") == 1 and "." not in text else text)
    except ValueError as error:
        raise RowError("no-degrees", f"{name}: {text!r} is no number of degrees, as -7.9826 is", name) from error
