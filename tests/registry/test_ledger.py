"""A bucket that does not answer, as while JetStream elects, holds nobody up for longer than a write may take."""

import asyncio
from typing import Any

import pytest

from services.contracts.errors import UnavailableError
from services.contracts.models import Assignment
from services.registry import ledger
from services.registry.ledger import Ledger


class SilentBucket:
    """Every question to it waits."""

    async def _wait(self, *_arguments: object) -> None:
        await asyncio.Event().wait()

    get = create = update = put = _wait


@pytest.mark.parametrize("what", ["fetch", "create", "update"])
async def test_a_bucket_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    monkeypatch.setattr(ledger, "WRITE_SECONDS", 0.01)
    silent: Any = SilentBucket()
    assignments: Ledger[Assignment] = Ledger(silent)
    value = Assignment(camera="gate", site="city", workers=("ingest-1",), incarnations=(1,))
    arguments = {"fetch": (), "create": (value,), "update": (value, 3)}[what]
    with pytest.raises(UnavailableError, match=r"did not answer within 0\.01 s about ingest\.gate"):
        await getattr(assignments, what)("ingest.gate", *arguments)
