"""Channels that only this test knows work through the session, both codecs and the hub, with nothing else changed."""

import asyncio
from collections.abc import Hashable
from typing import Any

import msgspec
import pytest
from auction_examples import ANN, AUCTION, BOB
from structlog.testing import capture_logs
from virtual_time import EPOCH_MS, turns, virtual

from domain.errors import FORBIDDEN
from domain.ids import id_text
from gateway.fanout.channels import Channel, ChannelSource
from gateway.fanout.entity_channels import EntityChannels
from gateway.fanout.hub import topics_of
from gateway.identity.tokens import Identity
from gateway.websocket.operations.table import JSON, MSGPACK
from gateway.wire.codec import Codec
from gateway.wire.faults import RequestFailed
from gateway.wire.frames import EventFrame, Position
from persistence.redis.announcements import DIRECTORY_CHANNEL
from tests.unit.gateway.websocket.sessions import NOW_S, Client, Gateway, delivered, gateway, logged, update

TOPIC = "test:counters"
# Nobody may see a counter that stands here, which is known once it is loaded.
SECRET = 13


class Counter(Channel):
    """Counts; what is not in memory is known to the source."""

    value = 0

    def state(self) -> dict[str, Any]:
        return {"value": self.value}

    def count_to(self, value: int) -> None:
        self.seq = self.value = value
        event = EventFrame(self.name, self.epoch, self.seq, "counted", EPOCH_MS, {"value": value})
        for subscription in self.subscriptions:
            subscription.deliver(subscription.watcher.codec.frame(event))


class Counters(ChannelSource[Counter]):
    """One a user may read: the owner has the counter's number."""

    prefix = "counter:"
    private = True
    topics = (TOPIC,)

    def __init__(self) -> None:
        super().__init__()
        self.values: dict[Hashable, int] = {}
        self.missed_count = 0

    def open(self, name: str, key: Hashable) -> Counter:
        return Counter(name, key)

    def authorise(self, channel: Counter, identity: Identity | None) -> None:
        if identity is None or identity.user_id != channel.key or channel.value == SECRET:
            raise RequestFailed(FORBIDDEN, "this is another user's counter")

    async def prepare(self, channel: Counter, since: Position | None) -> list[EventFrame]:
        await asyncio.sleep(0)
        channel.epoch = 1
        channel.seq = channel.value = self.values.get(channel.key, 0)
        after = channel.seq if since is None else since.seq
        return [
            EventFrame(channel.name, 1, n, "counted", EPOCH_MS, {"value": n}) for n in range(after + 1, channel.seq + 1)
        ]

    def received(self, message: bytes) -> None:
        key, value = msgspec.msgpack.decode(message)
        self.channels[key].count_to(value)

    def missed(self) -> None:
        self.missed_count += 1


class Market(Counters):
    """A single channel, for all."""

    prefix = "market"
    private = False
    topics = ()

    def key_of(self, name: str) -> Hashable:
        return 0

    def authorise(self, channel: Counter, identity: Identity | None) -> None:
        return


MINE = f"counter:{id_text(ANN)}"


def say(g: Gateway, user: int, value: int) -> None:
    g.listener.publish(TOPIC, msgspec.msgpack.encode([user, value]))


async def following(g: Gateway, codec: Codec = MSGPACK, **since: int) -> tuple[Client, dict[str, Any]]:
    client = g.client(codec)
    await client.hello()
    return client, await client.ask("subscribe", channel=MINE, **({"since": since} if since else {}))


@pytest.mark.parametrize("codec", [MSGPACK, JSON], ids=["msgpack", "json"])
def test_its_state_its_updates_and_what_was_missed_reach_the_client(codec: Codec):
    @virtual
    async def scenario() -> None:
        counters = Counters()
        counters.values[ANN] = 2
        async with gateway(more_sources=[counters]) as g:
            client, reply = await following(g, codec)
            assert reply["state"] == {"value": 2}
            assert (reply["epoch"], reply["seq"], reply["recovered"], reply["watchers"]) == (1, 2, False, 1)
            say(g, ANN, 3)
            await turns(8)
            [event] = client.connection.taken()
            assert event == {
                "channel": MINE, "epoch": 1, "seq": 3, "type": "counted", "at": EPOCH_MS, "data": {"value": 3}
            }  # fmt: skip
            counters.values[ANN] = 4
            again = await client.ask("subscribe", channel=MINE, since={"epoch": 1, "seq": 2})
            assert (again["recovered"], [one["seq"] for one in again["events"]]) == (True, [3, 4])
            other_epoch = await client.ask("subscribe", channel=MINE, since={"epoch": 2, "seq": 2})
            assert (other_epoch["recovered"], other_epoch["state"]) == (False, {"value": 4})
            assert g.hub.counts.subscribed == {"state": 2, "log": 1}

    scenario()


@virtual
async def test_a_private_channel_is_for_those_whom_its_source_lets_in():
    async with gateway(more_sources=[Counters()]) as g:
        client = g.client()
        await client.hello(None)
        assert (await client.ask("subscribe", channel=MINE))["error"]["code"] == "unauthenticated"
        await client.hello(BOB, "bob")
        assert (await client.ask("subscribe", channel=MINE))["error"]["code"] == "forbidden"
        assert (await client.ask("subscribe", channel="counter:x"))["error"]["code"] == "not_found"
        assert (client.session.subscriptions, g.hub.channels) == (0, 0)


@virtual
async def test_a_source_may_know_only_from_the_loaded_channel_who_may_follow_it():
    counters = Counters()
    counters.values[ANN] = SECRET
    async with gateway(more_sources=[counters]) as g:
        client, refused = await following(g)
        assert refused["error"]["code"] == "forbidden"
        await turns(8)
        assert (client.session.subscriptions, g.hub.channels) == (0, 0)


@virtual
async def test_it_ends_with_another_user_and_waits_for_a_valid_token():
    async with gateway(more_sources=[Counters()]) as g:
        client, _ = await following(g)
        g.clock.offset_ms += 901_000
        say(g, ANN, 1)
        await turns(8)
        assert client.events() == []
        await client.hello(at_s=NOW_S + 901)
        assert client.events() == [(1, "state")]
        await client.hello(BOB, "bob", at_s=NOW_S + 901)
        assert (client.session.subscriptions, g.hub.channels) == (0, 0)


@virtual
async def test_a_fault_in_one_source_leaves_the_updates_of_the_others_alone():
    counters = Counters()
    async with gateway(more_sources=[counters]) as g:
        client, _ = await following(g)
        with capture_logs() as logs:
            say(g, BOB, 1)
            await turns(8)
        assert [entry["event"] for entry in logs] == ["update_fault"]
        say(g, ANN, 1)
        g.listener.reconnected()
        await turns(8)
        assert client.events() == [(1, "counted")]
        assert counters.missed_count == 1


@virtual
async def test_a_source_may_be_of_a_single_channel():
    async with gateway(more_sources=[Market()]) as g:
        client = g.client()
        await client.hello(None)
        assert (await client.ask("subscribe", channel="market"))["state"] == {"value": 0}
        refused = await client.ask("subscribe", channel="market:x")
        assert (refused["error"]["code"], refused["error"]["message"]) == (
            "not_found", "channels are named auction:<id> or trade:<id> or user:<id> or market"
        )  # fmt: skip


@virtual
async def test_entities_of_another_kind_are_loaded_updated_and_resumed_as_auctions_are():
    async with gateway(kinds=("auction", "trade")) as g:
        channel = f"trade:{id_text(AUCTION)}"
        client = g.client()
        await client.hello()
        refused = await client.ask("subscribe", channel=channel)
        assert refused["error"]["message"] == "there is no such trade"
        g.stands(seq=2)
        g.history.events[AUCTION] = [logged(1), logged(2)]
        reply = await client.ask("subscribe", channel=channel, since={"epoch": 1, "seq": 1})
        assert [(event["channel"], event["seq"]) for event in reply["events"]] == [(channel, 2)]
        g.listener.announce(update(3, 3, kind="trade"), update(4, 4, kind="auction"))
        await delivered(g)
        assert client.events() == [(3, "bid")]


def test_a_hub_listens_once_to_each_topic_of_its_sources():
    nothing: Any = None
    kinds = [EntityChannels(kind, nothing, nothing, nothing, nothing) for kind in ("auction", "trade")]
    assert topics_of([*kinds, Counters()]) == [DIRECTORY_CHANNEL, *kinds[0].topics, TOPIC]
