"""Requests that make something and may be asked again: their answer may have been lost after the thing was made."""

import secrets
from hashlib import sha256
from typing import Annotated

from pydantic import Field, StringConstraints

from services.contracts.models import Model
from services.contracts.permissions import Actor

RequestId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{16,64}$")]


class Repeatable(Model):
    """A question that makes something."""

    request_id: RequestId | None = Field(
        default=None,
        description="Chosen by the asker, anew for each thing. Asked again with the same one nothing more is made: the "
        "answer is what the first one made.",
    )


def id_ending(request_id: RequestId | None, actor: Actor, digits: int) -> str:
    """The hexadecimal end of a new thing's id: the same whenever ``actor`` asks again, else random."""
    if request_id is None:
        return secrets.token_hex(digits // 2)
    return sha256(f"{actor.name}\0{request_id}".encode()).hexdigest()[:digits]
