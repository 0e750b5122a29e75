"""A list of incidents stays within a message."""

from services.contracts.incidents import IncidentEntry, IncidentList
from services.contracts.models import MAX_REMARK_CHARS, MAX_REMARKS, Incident, Remark
from services.registry.incidents import ANSWER_BYTES, within_an_answer


def _entry(number: int, remarks: int) -> IncidentEntry:
    remark = Remark(at_us=1, by="ani", text="x" * MAX_REMARK_CHARS)
    incident = Incident(
        id=f"incident-{number}", title="t", cameras=("a",), from_us=1, to_us=None, remarks=(remark,) * remarks
    )
    return IncidentEntry(incident=incident, revision=1)


def test_incidents_with_all_the_remarks_that_they_may_have_do_not_break_the_list_and_the_newest_are_in_it() -> None:
    entries = [_entry(number, MAX_REMARKS) for number in range(24)]
    kept = within_an_answer(entries)
    assert 1 < len(kept) < len(entries)
    assert kept == tuple(entries[: len(kept)])
    assert len(IncidentList(incidents=kept).pack()) < ANSWER_BYTES * 1.01


def test_usual_incidents_are_all_listed() -> None:
    entries = [_entry(number, 1) for number in range(500)]
    assert within_an_answer(entries) == tuple(entries)
