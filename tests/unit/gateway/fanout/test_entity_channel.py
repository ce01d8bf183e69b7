"""What the channel of an entity keeps in memory."""

import msgspec
from auction_examples import AUCTION

from actors.stream.messages import PublicEvent, StateAnswer, Update
from gateway.fanout.channels import FanOutCounts, FanOutLimits
from gateway.fanout.entity_channel import EntityChannel

encode = msgspec.msgpack.encode
decode = msgspec.msgpack.Decoder(list[Update[msgspec.Raw]]).decode


def page_of(seq: int) -> bytearray:
    data, state = msgspec.Raw(encode({"amount": seq})), msgspec.Raw(encode({"price": seq}))
    return bytearray(encode([Update(AUCTION, "auction", 1, seq, 0, state, False, [PublicEvent(seq, 0, "bid", data)])]))


async def test_a_channel_keeps_no_page_of_updates():
    channel = EntityChannel("auction:1", "auction", AUCTION, FanOutLimits(), FanOutCounts())
    channel.load(StateAnswer(1, 1, 0, msgspec.Raw(encode({"price": 1})), False))
    page = page_of(2)
    channel.apply(decode(page)[0])
    # An array whose bytes are in use elsewhere can't grow.
    page.append(0)
    assert [event.data for event in channel.recent(1)] == [{"amount": 2}]
    assert channel.state() == {"price": 2}
