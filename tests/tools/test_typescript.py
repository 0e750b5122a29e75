"""TypeScript types say what the models' schemas say."""

from enum import StrEnum
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field, TypeAdapter

from tools.reference import attribute_docs, fill
from tools.typescript import declaration, expression, referred, type_name


class Colour(StrEnum):
    """What a thing looks like."""

    RED = "red"
    DARK_BLUE = "dark-blue"


class Part(BaseModel):
    """A part."""

    colour: Colour


class Thing(BaseModel):
    """A thing, with ``code``."""

    type: Literal["thing"] = "thing"
    size_px: int = Field(description="Its width.")
    label: str | None = None
    """What people call it."""
    parts: tuple[Part | int, ...] = ()
    by_name: dict[Literal["a", "b"], Part] = {}
    rest: dict[str, float] = {}


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (str, "string"),
        (int | float, "number"),
        (bool | None, "boolean | null"),
        (list[str], "string[]"),
        (tuple[str | int, ...], "(string | number)[]"),
        (Literal["a", "b"], '"a" | "b"'),
        (Literal["a"], '"a"'),
        (dict[str, int], "Record<string, number>"),
        (dict[Literal["a", "b"], int], 'Partial<Record<"a" | "b", number>>'),
        (Annotated[int, Field(ge=0)], "number"),
        (object, "unknown"),
    ],
)
def test_a_type_is_written_as_typescript_has_it(annotation: Any, expected: str) -> None:
    assert expression(TypeAdapter[Any](annotation).json_schema()) == expected


def test_a_model_is_an_interface_with_what_may_be_missing_and_its_descriptions() -> None:
    assert declaration("Thing", Thing.model_json_schema()) == "\n".join(
        [
            "/** A thing, with `code`. */",
            "export interface Thing {",
            '  type: "thing";',
            "  /** Its width. */",
            "  size_px: number;",
            "  label?: string | null;",
            "  parts?: (Part | number)[];",
            '  by_name?: Partial<Record<"a" | "b", Part>>;',
            "  rest?: Record<string, number>;",
            "}",
        ]
    )


def test_an_enumeration_has_its_values_at_run_time_too() -> None:
    schema = Part.model_json_schema()["$defs"]["Colour"]
    assert declaration("Colour", schema).splitlines()[1:] == [
        "export const COLOUR_VALUES = [",
        '  "red",',
        '  "dark-blue",',
        "] as const;",
        "export type Colour = (typeof COLOUR_VALUES)[number];",
    ]


def test_everything_that_a_type_refers_to_is_declared_with_it() -> None:
    schema = Thing.model_json_schema()
    assert set(referred(schema, schema["$defs"])) == {"Part", "Colour"}


def test_what_is_taken_and_what_is_given_have_names_of_their_own() -> None:
    assert [type_name(name) for name in ("Profile-Input", "Profile-Output", "Me")] == ["ProfileInput", "Profile", "Me"]


def test_the_docstrings_under_fields_are_found() -> None:
    assert attribute_docs(Thing) == {"label": "What people call it."}


def test_a_block_is_written_between_its_marks_and_one_without_a_place_is_refused() -> None:
    begin, end = "<!-- things: written by `make docs` from the code -->", "<!-- end of things -->"
    page = f"before\n{begin}\nold\n{end}\nafter"
    assert fill(page, {"things": "new"}) == f"before\n{begin}\n\nnew\n\n{end}\nafter"
    with pytest.raises(ValueError, match="no place for the block 'others'"):
        fill(page, {"others": "new"})
