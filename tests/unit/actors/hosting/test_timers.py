"""One alarm clock for many auctions, in virtual time."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st
from virtual_time import EPOCH_MS, VirtualClock, virtual

from actors.hosting.timers import ALARM_MAX_S, Timers


class Rung(list[tuple[int, int]]):
    """(auction, milliseconds after the start) of every ring."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__()
        self._clock = clock

    def ring(self, auction: int) -> None:
        self.append((auction, self._clock.now_ms() - EPOCH_MS))


def timers() -> tuple[Timers, Rung, VirtualClock]:
    clock = VirtualClock()
    rung = Rung(clock)
    return Timers(clock, rung.ring), rung, clock


@virtual
async def test_each_rings_at_its_time_and_once():
    alarm, rung, _ = timers()
    for auction, due in ((1, 300), (2, 100), (3, 200), (4, 5_000)):
        alarm.set(auction, EPOCH_MS + due)
    await asyncio.sleep(60)
    assert rung == [(2, 100), (3, 200), (1, 300), (4, 5_000)]
    assert len(alarm) == 0


@virtual
async def test_what_is_overdue_rings_at_once():
    alarm, rung, _ = timers()
    alarm.set(1, EPOCH_MS - 10_000)
    await asyncio.sleep(0.001)
    assert rung == [(1, 0)]


@virtual
async def test_a_later_time_replaces_an_earlier_and_an_earlier_a_later():
    alarm, rung, _ = timers()
    alarm.set(1, EPOCH_MS + 100)
    alarm.set(1, EPOCH_MS + 700)
    alarm.set(2, EPOCH_MS + 900)
    alarm.set(2, EPOCH_MS + 50)
    await asyncio.sleep(60)
    assert rung == [(2, 50), (1, 700)]


@virtual
async def test_none_takes_an_alarm_back():
    alarm, rung, _ = timers()
    alarm.set(1, EPOCH_MS + 100)
    alarm.set(1, None)
    alarm.set(2, None)
    await asyncio.sleep(60)
    assert rung == []


@virtual
async def test_after_stop_nothing_rings():
    alarm, rung, _ = timers()
    alarm.set(1, EPOCH_MS + 100)
    alarm.stop()
    await asyncio.sleep(60)
    assert rung == []


@virtual
async def test_a_clock_that_is_set_forward_is_noticed_within_a_second():
    alarm, rung, clock = timers()
    alarm.set(1, EPOCH_MS + 3_600_000)
    await asyncio.sleep(10)
    clock.offset_ms = 3_600_000
    await asyncio.sleep(ALARM_MAX_S)
    assert [auction for auction, _ in rung] == [1]


@virtual
async def test_ringing_may_set_the_next_alarm():
    clock = VirtualClock()
    rung: list[int] = []

    def again(auction: int) -> None:
        rung.append(clock.now_ms() - EPOCH_MS)
        if len(rung) < 4:
            alarm.set(auction, clock.now_ms() + 100)

    alarm = Timers(clock, again)
    alarm.set(1, EPOCH_MS + 100)
    await asyncio.sleep(60)
    assert rung == [100, 200, 300, 400]


@virtual
async def test_an_end_that_moves_a_hundred_thousand_times_costs_no_memory():
    alarm, rung, _ = timers()
    for i in range(100_000):
        alarm.set(1, EPOCH_MS + 1_000 + i)
    assert len(alarm._heap) == 1
    await asyncio.sleep(200)
    assert rung == [(1, 100_999)]


settings_of_alarms = st.lists(
    st.tuples(st.integers(0, 40), st.integers(1, 3), st.none() | st.integers(0, 60)), max_size=20
)
"""(pause, auction, due in so many ms from then)."""


@given(settings_of_alarms)
def test_an_alarm_rings_at_the_last_time_that_was_set_for_it(alarms: list[tuple[int, int, int | None]]):
    @virtual
    async def scenario() -> None:
        alarm, rung, clock = timers()
        expected: list[tuple[int, int]] = []
        due: dict[int, int] = {}
        for pause, auction, after in alarms:
            await asyncio.sleep(pause / 1000)
            now = clock.now_ms() - EPOCH_MS
            expected += [(a, at) for a, at in due.items() if at <= now]
            due = {a: at for a, at in due.items() if at > now}
            due.pop(auction, None)
            if after is not None:
                due[auction] = now + after
            alarm.set(auction, None if after is None else EPOCH_MS + now + after)
        await asyncio.sleep(1)
        assert sorted(rung) == sorted(expected + list(due.items()))

    scenario()
