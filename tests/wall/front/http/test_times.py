"""Times in answers: fields of mesh models under their own names, RFC 3339 in JSON."""

from datetime import UTC, datetime
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import Field

from services.contracts.recordings import FootageGap, FootageRange
from services.wall.front.http.times import TimedView, TimeUs, rfc3339, to_us


class SpanView(TimedView):
    """A part of a mesh model, with a time that may be missing."""

    from_us: TimeUs
    to_us: TimeUs | None = Field(description="null: it still goes on.")


class SpansView(TimedView):
    """Nested ones."""

    spans: list[SpanView]


def shown(view: TimedView) -> dict[str, Any]:
    """What travels."""
    return view.model_dump(mode="json", by_alias=True)


def test_a_mesh_models_times_become_rfc3339_and_its_names_lose_their_unit() -> None:
    gap = FootageGap(from_us=1_700_000_000_000_000, to_us=None, cause="unknown")
    assert shown(SpanView.model_validate(gap)) == {"from": "2023-11-14T22:13:20.000Z", "to": None}


def test_what_a_view_does_not_declare_is_not_shown_also_in_lists() -> None:
    class Several:
        """Has mesh models in an attribute."""

        spans = (FootageRange(from_us=1, to_us=1500, recorder="recorder-1"),)

    assert shown(SpansView.model_validate(Several())) == {
        "spans": [{"from": "1970-01-01T00:00:00.000001Z", "to": "1970-01-01T00:00:00.001500Z"}]
    }


def test_the_schema_of_an_answer_has_the_names_and_types_that_travel() -> None:
    schema = SpanView.model_json_schema(mode="serialization")
    assert schema["properties"]["from"] == {"type": "string", "format": "date-time", "title": "From"}
    assert {"type": "null"} in schema["properties"]["to"]["anyOf"]
    assert schema["required"] == ["from", "to"]


@given(st.integers(min_value=to_us(datetime(1, 1, 1, tzinfo=UTC)), max_value=253_402_300_799_999_999))
@example(to_us(datetime(416, 12, 17, tzinfo=UTC)))
def test_no_microsecond_is_lost_on_the_way(us: int) -> None:
    assert to_us(datetime.fromisoformat(rfc3339(us))) == us
