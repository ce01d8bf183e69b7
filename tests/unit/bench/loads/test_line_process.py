"""A load process and the bench that starts it talk in lines."""

import msgspec
import pytest

from bench.loads.line_process import line_process
from bench.loads.processes import ProcessFailed
from bench.loads.sockets import Connected, Idle, Round, RoundResult

WITHIN_S = 60.0


async def test_each_line_is_answered_by_a_line():
    async with line_process("bench.loads.sockets", "the sockets") as load:
        await load.send(Idle("http://127.0.0.1:1", "127.0.0.1", 0))
        assert msgspec.json.decode(await load.receive(WITHIN_S), type=Connected) == Connected(0)
        for _ in range(2):
            await load.send(Round(0.0))
            assert msgspec.json.decode(await load.receive(WITHIN_S), type=RoundResult).answered == 0


async def test_the_end_of_the_process_is_an_error_of_who_waits():
    async with line_process("bench.loads.overload", "the bidders") as load:
        await load.send(Idle("http://127.0.0.1:1", "127.0.0.1", 0))
        with pytest.raises(ProcessFailed, match="the process of the bidders ended"):
            await load.receive(WITHIN_S)
