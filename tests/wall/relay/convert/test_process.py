import asyncio
import os
import signal
import subprocess
import sys

from services.contracts.frames import AccessUnit, Codec
from services.mesh.clock import ManualClock
from services.wall.relay.convert.__main__ import NICENESS
from services.wall.relay.convert.framing import Task
from services.wall.relay.convert.process import REST_SECONDS, ConverterProcess, ConverterProcesses
from tests.media import encoded
from tests.processes import children, command_line
from tests.recorder.units import pictures

TASK = Task("picture", 7, 720)


def converters() -> list[int]:
    """Process ids of this test's converters."""
    return [child for child in children(os.getpid()) if "services.wall.relay.convert" in command_line(child)]


async def until_converters(count: int) -> list[int]:
    """A process that has just been started has no command line for a moment."""
    async with asyncio.timeout(90):
        while len(found := converters()) != count:
            await asyncio.sleep(0.01)
    return found


def units() -> list[AccessUnit]:
    return pictures(Codec.H264, count=2, source=encoded.video("libx264", frames=2, gop=2))


def test_a_converter_starts_without_what_services_need() -> None:
    code = "import sys, services.wall.relay.convert.__main__; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "av" in loaded
    assert not {"services.mesh", "aiohttp", "pydantic", "nats"} & set(loaded)


async def test_a_converter_stands_back_for_others_only_when_its_first_picture_is_out() -> None:
    own = os.getpriority(os.PRIO_PROCESS, 0)
    async with ConverterProcesses(ManualClock()).converter(TASK) as process, asyncio.timeout(90):
        (pid,) = await until_converters(1)
        assert os.getpriority(os.PRIO_PROCESS, pid) == own
        for unit in units():
            process.write_unit(unit)
        await anext(process.messages())
        while os.getpriority(os.PRIO_PROCESS, pid) != max(own, NICENESS):
            await asyncio.sleep(0.01)


async def test_one_that_waits_is_taken_and_the_next_is_started_when_that_has_had_its_time() -> None:
    clock = ManualClock()
    processes = ConverterProcesses(clock)
    await processes.keep_ahead(True)
    (waiting,) = await until_converters(1)
    async with processes.converter(TASK) as process:
        await processes.keep_ahead(True)
        await convert_something(process)
        assert converters() == [waiting]
        clock.advance(REST_SECONDS + 1)
        await processes.keep_ahead(True)
        await until_converters(2)
    await processes.close()
    assert converters() == []


async def test_one_that_waits_is_replaced_where_it_died_and_ended_when_no_camera_needs_it_any_more() -> None:
    processes = ConverterProcesses(ManualClock())
    await processes.keep_ahead(True)
    (killed,) = await until_converters(1)
    os.kill(killed, signal.SIGKILL)
    async with asyncio.timeout(90):
        while converters() in ([], [killed]):
            await processes.keep_ahead(True)
            await asyncio.sleep(0.01)
    await processes.keep_ahead(False)
    assert converters() == []


async def convert_something(process: ConverterProcess) -> None:
    async with asyncio.timeout(90):
        for unit in units():
            process.write_unit(unit)
        await anext(process.messages())
