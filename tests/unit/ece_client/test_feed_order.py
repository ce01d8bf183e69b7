"""Whatever a network and gateways do to frames, a reader's view is a prefix of the log, and every skip is told."""

import asyncio
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from virtual_time import VirtualTimeLoop

from ece_client import Event, Options, Snapshot
from ece_client.feed import HELD_MAX, Feed

CHANNEL = "auction:a1"
UPDATES_MAX = 6


class Live:
    """A connection that is not lost."""

    lost = None


class Server:
    """A log that grows; answers subscriptions as docs/protocol.md says."""

    def __init__(self) -> None:
        self.seq = 0
        self.resume_max = 5

    def event(self, seq: int) -> dict[str, Any]:
        return {"channel": CHANNEL, "epoch": 1, "seq": seq, "type": "bid", "at": seq, "data": {}}

    async def subscribe(self, _connection: Any, fields: Any) -> dict[str, Any]:
        await asyncio.sleep(0.001)
        since = fields.get("since")
        if since is not None and self.seq - since["seq"] <= self.resume_max:
            events = [self.event(seq) for seq in range(since["seq"] + 1, self.seq + 1)]
            return {"epoch": 1, "seq": self.seq, "recovered": True, "events": events}
        return {"epoch": 1, "seq": self.seq, "recovered": False, "state": {"upto": self.seq}}


# (what happens, a number for it)
steps = st.lists(
    st.tuples(st.sampled_from(["send", "drop", "repeat", "swap", "state", "reconnect", "read", "pause"]),
              st.integers(1, 8)),
    max_size=60,
)  # fmt: skip


async def play(script: list[tuple[str, int]]) -> tuple[Server, Feed, list[Any]]:
    server = Server()
    feed = Feed(CHANNEL, Options(updates_max=UPDATES_MAX), server.subscribe)
    live: Any = Live()
    seen: list[Any] = []
    feed.connected(live)

    async def read(number: int) -> None:
        for _ in range(number):
            try:
                async with asyncio.timeout(10):
                    seen.append(await anext(feed))
            except TimeoutError:
                return

    for action, number in script:
        match action:
            case "send" | "drop" | "swap":
                new = list(range(server.seq + 1, server.seq + number + 1))
                server.seq += number
                if action == "swap":
                    new.reverse()
                for seq in new if action != "drop" else []:
                    feed.receive(server.event(seq))
            case "repeat":
                feed.receive(server.event(max(1, server.seq - number)))
            case "state":
                server.seq += 1
                feed.receive({**server.event(server.seq), "type": "state", "data": {"upto": server.seq}})
            case "reconnect":
                feed.connected(live)
            case "read":
                await read(number)
            case "pause":
                await asyncio.sleep(number / 100)
    # The server repeats the newest state of what has changed, so that nobody stays behind.
    await asyncio.sleep(60)
    server.seq += 1
    feed.receive(server.event(server.seq))
    await read(1_000)
    return server, feed, seen


def played(script: list[tuple[str, int]]) -> tuple[Server, Feed, list[Any]]:
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(play(script))


@given(steps)
def test_a_reader_sees_each_event_once_in_order_and_every_skip_as_a_state(script: list[tuple[str, int]]):
    server, _, seen = played(script)
    position = -1
    for update in seen:
        if isinstance(update, Event):
            assert update.seq == position + 1
        else:
            assert isinstance(update, Snapshot)
            assert update.seq >= position
        position = update.seq
    assert position == server.seq


@given(steps)
def test_what_waits_for_a_reader_is_bounded(script: list[tuple[str, int]]):
    _, feed, _ = played([step for step in script if step[0] != "read"])
    assert len(feed._updates) <= UPDATES_MAX
    assert len(feed._held) <= HELD_MAX
