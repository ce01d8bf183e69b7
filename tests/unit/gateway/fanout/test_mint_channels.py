"""The channel of a request to mint: its progress, conflated, for its requester alone."""

from collections.abc import Sequence

import msgspec
from auction_examples import ANN, BOB
from virtual_time import turns, virtual

from domain.ids import id_text
from gateway.fanout.mint_channels import MintChannels
from persistence.minting.reading import Mint
from persistence.postgres.errors import StoreUnavailable
from persistence.redis.announcements import MINTS_CHANNEL
from tests.unit.gateway.websocket.sessions import gateway

MINT = 77
MINE = f"mint:{id_text(MINT)}"


class Requests:
    """The requests in the database."""

    def __init__(self, requester: int = ANN) -> None:
        self.mint = Mint(MINT, requester, "ann", "token-2022", 10, 0, 0, 0, 1_000, 1_000)
        self.reads = 0
        self.outage = False

    def minted(self, done: int) -> None:
        self.mint = msgspec.structs.replace(self.mint, done=done, seq=self.mint.seq + 1)

    async def some(self, mints: Sequence[int]) -> dict[int, Mint]:
        self.reads += 1
        if self.outage:
            raise StoreUnavailable
        return {MINT: self.mint} if MINT in mints else {}


def announced(mint: int = MINT) -> bytes:
    return msgspec.msgpack.encode([mint])


@virtual
async def test_the_progress_comes_with_the_reply_and_then_whenever_it_changes():
    requests = Requests()
    async with gateway(more_sources=[MintChannels(requests)]) as g:
        ann = g.client()
        await ann.hello()
        reply = await ann.ask("subscribe", channel=MINE)
        state = {"status": "minting", "total": 10, "done": 0, "poisoned": 0}
        assert {"epoch": 1, "seq": 0, "recovered": False, "state": state}.items() <= reply.items()
        requests.minted(4)
        g.listener.publish(MINTS_CHANNEL, announced())
        await turns(12)
        [frame] = ann.connection.taken()
        assert (frame["channel"], frame["seq"], frame["type"]) == (MINE, 1, "state")
        assert frame["data"] == state | {"done": 4}


@virtual
async def test_somebody_elses_request_and_one_that_is_none_are_refused():
    async with gateway(more_sources=[MintChannels(Requests(requester=BOB))]) as g:
        ann = g.client()
        await ann.hello()
        for channel, code in ((MINE, "forbidden"), (f"mint:{id_text(5)}", "not_found"), ("mint:x", "not_found")):
            reply = await ann.ask("subscribe", channel=channel)
            assert reply["error"]["code"] == code, channel


@virtual
async def test_many_changes_are_one_state_and_strangers_cost_no_read():
    requests = Requests()
    async with gateway(more_sources=[MintChannels(requests)]) as g:
        ann = g.client()
        await ann.hello()
        await ann.ask("subscribe", channel=MINE)
        before = requests.reads
        for done in range(1, 6):
            requests.minted(done)
            g.listener.publish(MINTS_CHANNEL, announced())
        g.listener.publish(MINTS_CHANNEL, announced(78))
        g.listener.publish(MINTS_CHANNEL, b"nonsense")
        await turns(12)
        [frame] = ann.connection.taken()
        assert frame["data"]["done"] == 5
        assert requests.reads == before + 1
