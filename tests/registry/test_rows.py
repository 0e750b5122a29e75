"""Import files: what spreadsheets and scripts write is read, and what cannot be is refused by row and name."""

import json
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.contracts.errors import InvalidInputError
from services.registry.rows import COLUMNS, ParsedRow, parse


def rows(text: str) -> list[ParsedRow]:
    return parse("csv", text).rows


def test_all_columns_are_read() -> None:
    text = (
        "id,site,name,main_url,sub_url,username,password,latitude,longitude,address,tags,audio,record,enabled,copies,"
        "retention,transport,reader\n"
        "k-1,dishub,Kayutangan,rtsp://10.0.0.1/1,rtsp://10.0.0.1/2,admin,p@ss,-7.98,112.63,Jl. Basuki Rahmat,"
        'road|north,yes,no,true,2,"full 10d, keyframes 60d every 10s",udp,pyav\n'
    )
    (row,) = rows(text)
    assert (row.number, row.id, row.problem) == (2, "k-1", "")
    assert row.given == {
        "site": "dishub",
        "name": "Kayutangan",
        "audio": True,
        "record": False,
        "enabled": True,
        "copies": "2",
        "retention": "full 10d, keyframes 60d every 10s",
        "tags": ["road", "north"],
        "location": {"latitude": -7.98, "longitude": 112.63, "address": "Jl. Basuki Rahmat"},
        "profiles": {
            "main": {"url": "rtsp://10.0.0.1/1", "transport": "udp", "reader": "pyav"},
            "sub": {"url": "rtsp://10.0.0.1/2", "transport": "udp", "reader": "pyav"},
        },
        "credentials": {"username": "admin", "password": "p@ss"},
    }


def test_no_two_columns_share_a_name() -> None:
    names = [alias for name, aliases in COLUMNS.items() for alias in (name, *aliases)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_headers_may_be_anybodys_and_cells_split_as_spreadsheets_do(delimiter: str) -> None:
    text = delimiter.join(["Nama Kamera", "RTSP URL", "Lintang", "Aktif"]) + "\r\n"
    text += delimiter.join(["Pasar Besar", "rtsp://10.0.0.1/1", '"-7,98"', "ya"]) + "\r\n"
    (row,) = rows(text)
    assert row.id == "pasar-besar"
    assert row.given["location"] == {"latitude": -7.98}
    assert row.given["enabled"] is True


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("sep=;\r\nname;url\r\nA;rtsp://h/1\r\n", 3),
        ("\r\n;;\r\nname;url\r\nA;rtsp://h/1\r\n", 4),
        ('"SEP=\t"\nname\turl\nA\trtsp://h/1', 3),
        ("sep=;\n\n;\nname;url\nA;rtsp://h/1\n", 5),
        ('name;url;"a,b,c,d"\nA;rtsp://h/1;x\n', 2),
        ("name,url\rA,rtsp://h/1\r", 2),
    ],
)
def test_what_spreadsheets_write_before_the_header_and_at_line_ends_hides_no_row(text: str, line: int) -> None:
    (row,) = rows(text)
    assert (row.number, row.id, row.given["profiles"]) == (line, "a", {"main": {"url": "rtsp://h/1"}})


def test_a_file_of_empty_lines_costs_no_more_memory_than_its_text() -> None:
    empty = "\n" * 200_000
    tracemalloc.start()
    try:
        (row,) = rows(empty + "name,url\nA,rtsp://h/1\n")
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert row.number == len(empty) + 2
    assert peak_bytes < 20 * len(empty)


def test_credentials_in_a_url_are_split_off() -> None:
    (row,) = rows("name,url\nA,rtsp://admin:p%40ss@10.0.0.1/1\n")
    assert row.given["profiles"] == {"main": {"url": "rtsp://10.0.0.1/1"}}
    assert row.given["credentials"] == {"username": "admin", "password": "p@ss"}


def test_empty_cells_and_lines_say_nothing() -> None:
    (row,) = rows("name,url,sub,tags\n\nA,rtsp://10.0.0.1/1,, \n,,,\n")
    assert (row.number, row.given) == (3, {"name": "A", "profiles": {"main": {"url": "rtsp://10.0.0.1/1"}}})


def test_line_numbers_are_those_of_the_file_though_cells_span_lines() -> None:
    found = rows('name,url,address\nA,rtsp://h/1,"two\nlines"\nB,rtsp://h/2,one\n')
    assert [row.number for row in found] == [2, 4]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("A,rtsp://h/1,maybe", ("enabled", "no-boolean", "enabled")),
        ("!!!,rtsp://h/1,", ("names no camera", "no-camera", "")),
        ("A,rtsp://h/1,yes,more", ("4 cells for 3 columns", "cells", "")),
    ],
)
def test_a_bad_row_says_why_to_people_and_to_programs(line: str, problem: tuple[str, str, str]) -> None:
    (row,) = rows(f"name,url,enabled\n{line}\n")
    said, code, column = problem
    assert said in row.problem
    assert (row.code, row.column) == (code, column)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "line 1"),
        ("A,rtsp://h/1\n", "line 1 must name the columns"),
        ("name,address\nA,B\n", "main_url"),
        ("name,url,rtsp\nA,rtsp://h/1,rtsp://h/2\n", "twice"),
    ],
)
def test_a_file_that_is_no_list_of_cameras_is_refused_whole(text: str, problem: str) -> None:
    with pytest.raises(InvalidInputError, match=problem):
        parse("csv", text)


def test_unknown_columns_are_named_and_ignored() -> None:
    table = parse("csv", "name,url,Vendor,IP\nA,rtsp://h/1,Acme,10.0.0.1\n")
    assert table.notes == ("columns that are not known were ignored: Vendor, IP",)


def test_json_takes_flat_rows_and_what_the_api_lists() -> None:
    listed = {
        "id": "a",
        "site": "city",
        "name": "A",
        "location": {"latitude": None, "longitude": None, "address": "x"},
        "tags": ["t"],
        "profiles": {"main": {"url": "rtsp://h/1"}, "sub": None},
        "has_credentials": True,
        "retention": None,
        "privacy_masks": [{"x": 0, "y": 0, "width": 0.5, "height": 1}],
        "unmasked_roles": ["supervisor"],
        "state": {"status": "online"},
    }
    table = parse("json", json.dumps({"cameras": [listed, {"nama": "B", "url": "rtsp://u:p@h/2", "vendor": 1}, 7]}))
    first, second, third = table.rows
    assert first.given["profiles"] == {"main": {"url": "rtsp://h/1"}, "sub": None}
    assert first.given["retention"] is None
    assert {name: first.given[name] for name in ("privacy_masks", "unmasked_roles")}.items() <= listed.items()
    assert "state" not in first.given
    assert "credentials" not in first.given
    assert (second.number, second.id, second.given["credentials"]["username"]) == (2, "b", "u")
    assert third.problem == "is no object"
    assert table.notes == ("keys that are not known were ignored: vendor",)


@pytest.mark.parametrize("text", ["{", "7", '{"cameras": 1}', "[" * 100_000])
def test_what_is_no_json_list_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError):
        parse("json", text)


@given(st.text(max_size=300), st.sampled_from(("csv", "json")))
def test_no_text_is_more_than_refused(text: str, kind: str) -> None:
    # passes if nothing raises
    for content in (text, f"name,url\n{text}"):
        try:
            parse(kind, content)
        except InvalidInputError:
            continue


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*COLUMNS, "profiles", "location", "credentials", "other"]), json_values))
def test_no_json_row_is_more_than_refused(entry: dict[str, object]) -> None:
    (row,) = parse("json", json.dumps([entry])).rows
    assert row.number == 1


def test_an_import_is_bounded_in_rows_and_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.registry.rows.MAX_ROWS", 2)
    line = "\na,rtsp://192.0.2.1/"
    assert len(parse("csv", "name,main_url" + 2 * line).rows) == 2
    with pytest.raises(InvalidInputError, match="at most 2 cameras"):
        parse("csv", "name,main_url" + 3 * line)
    with pytest.raises(InvalidInputError, match="at most 2 cameras"):
        parse("json", "[{},{},{}]")
    with pytest.raises(InvalidInputError, match="201 columns"):
        parse("csv", "name,main_url" + ",x" * 199 + line)


@pytest.mark.parametrize("content", ["[" * 100_000, "[" + "9" * 5000 + "]", '[{"a":' * 400, '["\\ud800"]'])
def test_json_that_no_parser_should_follow_is_no_json(content: str) -> None:
    with pytest.raises(InvalidInputError, match="no JSON"):
        parse("json", content)
