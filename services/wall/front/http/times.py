"""Times as HTTP has them: RFC 3339 in queries and answers, Unix microseconds inside."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AliasGenerator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
)

_LOST_PLUS = re.compile(r"(T\d\d:\d\d(?::\d\d(?:\.\d+)?)?) (\d\d:?\d\d)$")


def _mend_plus(value: Any) -> Any:
    """A ``+`` that was not percent-encoded arrives as a blank (WHATWG URL, 5.1)."""
    return _LOST_PLUS.sub(r"\1+\2", value) if isinstance(value, str) else value


def _within_years(moment: datetime) -> datetime:
    try:
        moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("must lie between the years 1 and 9999 of UTC") from error
    return moment


Moment = Annotated[
    AwareDatetime,
    BeforeValidator(_mend_plus),
    AfterValidator(_within_years),
    Field(description="RFC 3339 with its offset, as in 2026-03-01T07:00:00Z."),
]
"""A time in a query."""


def to_us(moment: datetime) -> int:
    """Unix microseconds, without passing through a float."""
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def rfc3339(us: int) -> str:
    """UTC, with microseconds where they are not milliseconds."""
    seconds, fraction = divmod(us, 1_000_000)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S").zfill(19)  # glibc writes the year 416 so
    digits = f"{fraction:06d}"
    return f"{text}.{digits[:3] if digits.endswith('000') else digits}Z"


TimeUs = Annotated[
    int,
    PlainSerializer(rfc3339, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}, mode="serialization"),
]
"""Unix microseconds that an answer shows as RFC 3339."""


class TimedView(BaseModel):
    """What an answer shows of a mesh model: its fields under their own names, times as RFC 3339.

    A subclass declares the fields that are shown, under the mesh model's names, times as `TimeUs`; they are read off
    the mesh model (``model_validate(mesh_model)``, nested ones too). In JSON the name loses its unit, since RFC 3339
    has none: ``from_us`` becomes ``from``.
    """

    model_config = ConfigDict(
        from_attributes=True, alias_generator=AliasGenerator(serialization_alias=lambda name: name.removesuffix("_us"))
    )
