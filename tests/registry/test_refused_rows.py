"""Refused rows as a file: with the reason, in their own cells, and fit to be imported again."""

import csv
import io

import pytest

from services.contracts.catalogue import ImportRow
from services.registry.rows import REFUSED_COLUMNS, parse, refused_csv


def refused(number: int, **more: str) -> ImportRow:
    return ImportRow.model_validate({"row": number, "id": "", "result": "refused", "detail": "why", **more})


def read(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text)))


def test_cells_stay_as_they_were_given_under_their_own_columns() -> None:
    content = 'Nama;url;catatan\nA;rtsp://a/;"x;y"\nB;nonsense;z\nC;rtsp://c/;;more\n'
    table = refused_csv("csv", content, {3: refused(3, code="invalid", column="main_url"), 4: refused(4, code="cells")})
    assert read(table) == [
        [*REFUSED_COLUMNS, "Nama", "url", "catatan"],
        ["3", "invalid", "main_url", "why", "B", "nonsense", "z"],
        ["4", "cells", "", "why", "C", "rtsp://c/", "", "more"],
    ]


def test_a_mended_file_is_imported_and_its_reasons_are_no_unknown_columns() -> None:
    content = "name,url\nA,nonsense\n"
    mended = refused_csv("csv", content, {2: refused(2, code="invalid")}).replace("nonsense", "rtsp://a/")
    again = parse("csv", mended)
    assert [(row.id, row.problem) for row in again.rows] == [("a", "")]
    assert again.ignored == ()
    assert read(refused_csv("csv", mended, {2: refused(2)}))[0] == [*REFUSED_COLUMNS, "name", "url"]


def test_no_password_is_in_the_file() -> None:
    content = (
        "name,url,sub,password\n"
        "A,rtsp://admin:secret1@a/1,rtsp://a:secret2/x@y:p/2@z/3,secret3\n"
        "B,http://b/?user=x&pwd=secret4,,\n"
    )
    table = refused_csv("csv", content, {2: refused(2), 3: refused(3)})
    assert "secret" not in table
    assert read(table)[1][4:6] == ["A", "rtsp://a/1"]


@pytest.mark.parametrize("wrapped", [False, True])
def test_json_becomes_the_columns_of_an_import(wrapped: bool) -> None:
    entries = """[{"id": "a", "profiles": {"main": "rtsp://a/"}, "tags": ["x", "y"], "location": {"latitude": 99}},
        {"name": "B"}, 7, {"name": "D", "profiles": {"main": {"url": "rtsp://d/"}}, "credentials": {"username": "u"}}
        ]"""
    content = f'{{"cameras": {entries}}}' if wrapped else entries
    table = refused_csv("json", content, {1: refused(1), 3: refused(3, code="no-object"), 4: refused(4)})
    rows = [dict(zip(read(table)[0], row, strict=False)) for row in read(table)[1:]]
    assert rows[0] | {"refused_detail": "why"} == rows[0]
    assert (rows[0]["main_url"], rows[0]["tags"], rows[0]["latitude"]) == ("rtsp://a/", "x|y", "99")
    assert (rows[1]["refused_code"], rows[1].get("main_url", "")) == ("no-object", "")
    assert (rows[2]["main_url"], rows[2]["username"]) == ("rtsp://d/", "u")
