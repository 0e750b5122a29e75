"""How many days the present disks and bitrates give."""

from hypothesis import given
from hypothesis import strategies as st

from services.contracts.ladder import parse_ladder
from services.recorder.reading.forecast import Days, Flow, forecast

LADDER = parse_ladder("full 10d, keyframes 60d every 10s")


def test_the_forecast_of_a_disk_that_is_large_enough_is_the_ladder() -> None:
    flow = Flow(10e9, 0.5e9, LADDER)
    assert forecast({"a": flow, "b": flow}, 1e15)["a"] == Days(10, 60)


def test_a_smaller_disk_costs_full_days_before_it_costs_thinned_ones() -> None:
    flow = Flow(10e9, 0.5e9, LADDER)
    days = forecast({"a": flow}, 5 * 10e9 + 55 * 0.5e9)["a"]
    assert round(days.full, 3) == 5
    assert days.keyframes == 60
    days = forecast({"a": flow}, 10e9 + 20 * 0.5e9)["a"]
    assert days.full == 1
    assert round(days.keyframes, 3) == 21
    days = forecast({"a": flow}, 5e9)["a"]
    assert round(days.full, 3) == round(days.keyframes, 3) == 0.5


@given(
    st.lists(st.tuples(st.floats(1, 1e11), st.floats(0.001, 0.5), st.booleans()), min_size=1, max_size=6),
    st.floats(1, 1e14),
)
def test_a_forecast_fits_its_disks(cameras: list[tuple[float, float, bool]], capacity: float) -> None:
    flows = {
        str(number): Flow(rate, rate * share, LADDER if thins else parse_ladder("full 5d"))
        for number, (rate, share, thins) in enumerate(cameras)
    }
    days = forecast(flows, capacity)
    need = sum(
        flow.full_bytes_per_day * days[key].full + flow.thinned_bytes_per_day * (days[key].keyframes - days[key].full)
        for key, flow in flows.items()
    )
    assert need <= capacity * (1 + 1e-6)
    assert all(0 <= found.full <= found.keyframes <= 60 for found in days.values())
