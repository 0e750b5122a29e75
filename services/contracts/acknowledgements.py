"""Acknowledged events: somebody has seen them and says so to everybody."""

from pydantic import Field

from services.contracts.models import Id, Model, UnixUs

MAX_AT_ONCE = 200


class AcknowledgedEvent(Model):
    """An event to be acknowledged, by its number in the stream."""

    event: int = Field(ge=1, lt=2**63)
    at_us: UnixUs
    """The event's own time: a stream that was created again gives its numbers again."""
    subject: Id
    """The camera or incident that it is about."""


class AcknowledgeOrder(Model):
    """Events that the asker has seen."""

    events: tuple[AcknowledgedEvent, ...] = Field(min_length=1, max_length=MAX_AT_ONCE)


class Acknowledgement(Model):
    """Who acknowledged an event first, and when. Key in the bucket: the event's number."""

    event: int
    event_us: int
    by: str
    at_us: int


class AcknowledgementList(Model):
    """An answer to `AcknowledgeOrder`: of each event the acknowledgement that counts."""

    acknowledgements: tuple[Acknowledgement, ...]
