"""Faults and how they are written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sim.faults import ONE_SHOT, Fault, Faults, FaultSetting


@pytest.mark.parametrize(
    ("text", "setting"),
    [
        ("cam-003=stall", FaultSetting("cam-003", None, Fault.STALL)),
        ("cam-004/sub=loss:0.1", FaultSetting("cam-004", "sub", Fault.LOSS, 0.1)),
        ("*=clock-jump:-60", FaultSetting("*", None, Fault.CLOCK_JUMP, -60.0)),
    ],
)
def test_a_setting_is_understood(text: str, setting: FaultSetting) -> None:
    assert FaultSetting.parse(text) == setting


@pytest.mark.parametrize("text", ["", "stall", "=stall", "cam-1=", "cam-1=what", "cam-1=loss:x", "cam-1/side=stall"])
def test_a_setting_that_makes_no_sense_is_refused_with_its_text(text: str) -> None:
    with pytest.raises(ValueError, match=r"CAMERA|faults are"):
        FaultSetting.parse(text)


@given(st.lists(st.tuples(st.sampled_from(Fault), st.booleans())))
def test_what_holds_is_what_was_set_and_not_cleared(steps: list[tuple[Fault, bool]]) -> None:
    faults, expected = Faults(), set()
    for fault, on in steps:
        if on:
            faults.set(fault)
            expected |= {fault} - ONE_SHOT
        else:
            faults.clear(fault)
            expected.discard(fault)
    assert {fault for fault in Fault if fault in faults} == expected
    assert bool(faults) == bool(expected)
    faults.clear()
    assert not faults
