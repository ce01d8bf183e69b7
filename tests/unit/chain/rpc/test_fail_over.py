"""Calls go to an endpoint that works, and what an endpoint says is believed only where it fits."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from faulty_server import HASH, FaultyServer, error, hang_up, raw, serving
from solders.pubkey import Pubkey
from solders.signature import Signature

from chain.rpc.client import ChainRpc
from chain.rpc.errors import (
    AccessDenied,
    BlockhashExpired,
    ChainError,
    ChainUnavailable,
    ForeignChain,
    InvalidAnswer,
    MethodUnsupported,
    NodeBehind,
    OutcomeUnknown,
    RateLimited,
    RequestRejected,
    TransactionRejected,
)
from chain.rpc.limits import RpcLimits

LIMITS = RpcLimits(request_s=2.0, call_s=4.0, probe_s=60.0)
WALLET = Pubkey.new_unique()


@asynccontextmanager
async def client_of(*servers: FaultyServer, limits: RpcLimits = LIMITS) -> AsyncIterator[ChainRpc]:
    async with AsyncExitStack() as stack:
        for server in servers:
            await stack.enter_async_context(serving(server))
        rpc = ChainRpc([server.url for server in servers], limits)
        await rpc.start()
        stack.push_async_callback(rpc.stop)
        yield rpc


async def test_a_read_goes_to_the_next_endpoint_when_one_hangs_up():
    bad, good = FaultyServer(), FaultyServer()
    bad.replies["getBalance"] = hang_up
    async with client_of(bad, good) as rpc:
        assert await rpc.balance(WALLET) == 7
        assert [one.state for one in rpc.endpoints()] == ["failing", "healthy"]


async def test_an_endpoint_that_failed_is_not_asked_first_again():
    bad, good = FaultyServer(), FaultyServer()
    bad.replies["getBalance"] = hang_up
    async with client_of(bad, good) as rpc:
        for _ in range(5):
            assert await rpc.balance(WALLET) == 7
        assert (bad.calls["getBalance"], good.calls["getBalance"]) == (1, 5)


async def test_an_endpoint_that_is_down_is_used_again_once_it_is_up():
    server = FaultyServer()
    async with serving(server):
        pass
    rpc = ChainRpc([server.url], LIMITS)
    await rpc.start()
    with pytest.raises(ChainUnavailable):
        await rpc.balance(WALLET)
    async with serving(server):
        assert await rpc.balance(WALLET) == 7
    await rpc.stop()


async def test_an_answer_in_many_pieces_is_read_to_its_end():
    server = FaultyServer()
    server.replies["getThing"] = "x" * 3_000_000
    async with client_of(server) as rpc:
        assert await rpc.call("getThing", [], str) == "x" * 3_000_000


async def test_a_late_answer_is_given_up_and_the_next_endpoint_is_asked():
    late, good = FaultyServer(), FaultyServer()
    late.late_s = 5.0
    async with client_of(late, good, limits=RpcLimits(request_s=0.2, call_s=4.0, probe_s=60.0)) as rpc:
        assert await rpc.balance(WALLET) == 7


async def test_a_call_ends_at_its_deadline():
    late = FaultyServer()
    late.late_s = 30.0
    async with client_of(late, limits=RpcLimits(request_s=10.0, call_s=0.3)) as rpc:
        began = asyncio.get_running_loop().time()
        with pytest.raises(ChainUnavailable):
            await rpc.balance(WALLET)
        assert asyncio.get_running_loop().time() - began < 2.0


MALFORMED = {
    "not JSON": raw(b"<html>"),
    "nothing": raw(b""),
    "another id": raw(b'{"jsonrpc": "2.0", "id": 424242, "result": {"context": {"slot": 1000}, "value": 7}}'),
    "no UTF-8": raw(b'{"id": 1, "result": "\xff"}'),
    "very deep": raw(b'{"error": {"code": 1, "data": ' + b"[" * 200_000 + b"]" * 200_000 + b"}}"),
    "a result of another type": lambda _: "seven",
    "no context": lambda _: {"value": 7},
    "a negative balance": lambda _: {"context": {"slot": 1_000}, "value": -7},
    "a balance that is too large": lambda _: {"context": {"slot": 1_000}, "value": 10**30},
    "a negative slot": lambda _: {"context": {"slot": -1}, "value": 7},
    "a fraction": lambda _: {"context": {"slot": 1_000}, "value": 7.5},
    "a redirection": raw(b"", 302, Location="http://127.0.0.1:1/"),
}


@pytest.mark.parametrize("reply", MALFORMED.values(), ids=MALFORMED)
async def test_a_malformed_answer_is_a_typed_error_and_the_endpoint_is_left_alone(reply: object):
    bad, good = FaultyServer(), FaultyServer()
    bad.replies["getBalance"] = reply
    async with client_of(bad, good) as rpc:
        assert await rpc.balance(WALLET) == 7
        assert rpc.endpoints()[0].state == "failing"
    async with client_of(bad) as alone:
        with pytest.raises(InvalidAnswer):
            await alone.balance(WALLET)


# The codes for which a Solana library ends the process, and others.
@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (-32005, NodeBehind), (-32016, NodeBehind), (429, RateLimited), (-32429, RateLimited),
        (-32602, RequestRejected), (-32601, MethodUnsupported), (-32603, ChainUnavailable), (-32004, ChainUnavailable),
    ],
)  # fmt: skip
async def test_errors_of_reads_are_typed(code: int, kind: type[ChainError]):
    server = FaultyServer()
    server.replies["getBalance"] = error(code)
    async with client_of(server) as rpc:
        with pytest.raises(ChainError) as raised:
            await rpc.balance(WALLET)
        assert type(raised.value) is kind


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (error(-32002, "Transaction simulation failed: x"), TransactionRejected),
        (error(-32002, "x", {"err": "BlockhashNotFound", "logs": []}), BlockhashExpired),
        (error(-32003), TransactionRejected),
        (error(-32602), TransactionRejected),
        (error(-32005, "Node is unhealthy"), NodeBehind),
        (error(-32603), OutcomeUnknown),
        (hang_up, OutcomeUnknown),
        (raw(b"{", 200), OutcomeUnknown),
        (raw(b"", 503), OutcomeUnknown),
        (raw(b"", 401), AccessDenied),
    ],
)
async def test_errors_of_sending_say_whether_a_transaction_may_land(reply: object, kind: type[ChainError]):
    server = FaultyServer()
    server.replies["sendTransaction"] = reply
    async with client_of(server) as rpc:
        with pytest.raises(ChainError) as raised:
            await rpc.send(b"bytes")
        assert type(raised.value) is kind


async def test_a_transaction_that_has_landed_already_is_sent():
    server = FaultyServer()
    server.replies["sendTransaction"] = error(-32002, "This transaction has already been processed")
    async with client_of(server) as rpc:
        await rpc.send(b"bytes")


async def test_a_lost_answer_is_told_also_when_the_next_endpoint_is_only_down():
    lost, down = FaultyServer(), FaultyServer()
    lost.replies["sendTransaction"] = hang_up
    down.replies["sendTransaction"] = error(-32005)
    async with client_of(lost, down) as rpc:
        with pytest.raises(OutcomeUnknown):
            await rpc.send(b"bytes")


async def test_an_airdrop_is_asked_for_once_whatever_happens():
    one, other = FaultyServer(), FaultyServer()
    one.replies["requestAirdrop"] = other.replies["requestAirdrop"] = hang_up
    async with client_of(one, other) as rpc:
        with pytest.raises(ChainUnavailable):
            await rpc.request_airdrop(WALLET, 1)
        assert one.calls["requestAirdrop"] + other.calls["requestAirdrop"] == 1


async def test_a_busy_endpoint_is_not_asked_before_its_time():
    busy, good = FaultyServer(), FaultyServer()
    busy.replies["getBalance"] = raw(b"", 429, Retry_After="30")
    async with client_of(busy, good) as rpc:
        for _ in range(3):
            assert await rpc.balance(WALLET) == 7
        assert busy.calls["getBalance"] == 1
        assert rpc.endpoints()[0].state == "rate_limited"
    async with client_of(busy) as alone:
        with pytest.raises(RateLimited) as raised:
            await alone.balance(WALLET)
        assert raised.value.retry_after_s == 30
        with pytest.raises(ChainUnavailable, match="no endpoint can be asked now"):
            await alone.balance(WALLET)
        assert busy.calls["getBalance"] == 2


async def test_an_endpoint_of_another_chain_is_never_believed():
    ours, foreign = FaultyServer(), FaultyServer(genesis="EtWTRABZaYq6iMfeYKouRu166VU2xqa1wcaWoxPkrZBG")
    async with client_of(ours, foreign) as rpc:
        assert await rpc.balance(WALLET) == 7
        ours.replies["getBalance"] = hang_up
        with pytest.raises(ChainUnavailable):
            await rpc.balance(WALLET)
        assert foreign.calls["getBalance"] == 0
        assert rpc.endpoints()[1].state == "foreign"


async def test_a_node_that_comes_back_with_another_chain_is_found_out():
    server = FaultyServer()
    async with client_of(server) as rpc:
        assert await rpc.balance(WALLET) == 7
        server.replies["getBalance"] = hang_up
        with pytest.raises(ChainUnavailable):
            await rpc.balance(WALLET)
        server.replies |= {"getBalance": lambda _: server.of(0), "getGenesisHash": HASH}
        with pytest.raises(ForeignChain):
            await rpc.balance(WALLET)


async def test_an_answer_of_an_old_slot_is_refused():
    server = FaultyServer(slot=1_000)
    async with client_of(server) as rpc:
        await rpc.balance(WALLET)
        server.slot = 500
        with pytest.raises(NodeBehind):
            await rpc.balance(WALLET)


async def test_an_answer_of_an_impossible_slot_is_refused_and_forgotten():
    liar, good = FaultyServer(slot=1_000), FaultyServer(slot=1_010)
    async with client_of(liar, good) as rpc:
        await rpc.balance(WALLET)
        liar.slot = 10**12
        assert await rpc.balance(WALLET) == 7
        assert [one.state for one in rpc.endpoints()] == ["failing", "healthy"]


async def test_no_status_is_believed_of_a_node_that_lacks_final_blocks():
    """A node behind does not know a transaction that is final: it must not be taken for one that never landed."""
    ahead, behind = FaultyServer(slot=1_100), FaultyServer(slot=1_050)
    for server in (ahead, behind):
        server.replies["getSignatureStatuses"] = lambda _, server=server: server.of([None])
    async with client_of(ahead, behind) as rpc:
        assert await rpc.block_height("finalized") == 1_000
        ahead.replies["getSignatureStatuses"] = hang_up
        with pytest.raises(ChainError):
            await rpc.statuses([Signature.default()])
        behind.slot = 1_100
        assert await rpc.statuses([Signature.default()]) == [None]


async def test_what_was_final_stays_final():
    server = FaultyServer(slot=1_000)
    async with client_of(server) as rpc:
        assert (await rpc.block_height("finalized"), await rpc.slot("finalized")) == (900, 1_000)
        server.slot = 990
        assert (await rpc.block_height("finalized"), await rpc.slot("finalized")) == (900, 1_000)


async def test_reads_ask_for_answers_that_have_all_final_blocks():
    server = FaultyServer(slot=1_000)
    async with client_of(server) as rpc:
        await rpc.slot("finalized")
        await rpc.balance(WALLET)
        assert server.requests[-1]["params"][1]["minContextSlot"] == 1_000


@pytest.mark.parametrize("statuses", [[], [None, None], [{"slot": -4, "err": None}], [{"err": None}], ["ok"]])
async def test_statuses_that_do_not_fit_are_refused(statuses: list[object]):
    server = FaultyServer()
    server.replies["getSignatureStatuses"] = lambda _: server.of(statuses)
    async with client_of(server) as rpc:
        with pytest.raises(InvalidAnswer):
            await rpc.statuses([Signature.default()])


async def test_statuses_of_many_transactions_are_asked_for_in_pages_and_keep_their_order():
    server = FaultyServer()
    server.replies["getSignatureStatuses"] = lambda request: server.of(
        [{"slot": len(request["params"][0]), "err": None, "confirmationStatus": "finalized"}]
        * len(request["params"][0])
    )
    async with client_of(server) as rpc:
        found = await rpc.statuses([Signature.default()] * 300)
    assert [one.slot for one in found if one] == [256] * 256 + [44] * 44


@pytest.mark.parametrize(
    "account",
    [
        {"lamports": 1, "owner": "nobody", "data": ["", "base64"]},
        {"lamports": 1, "owner": str(WALLET), "data": ["%%%", "base64"]},
        {"lamports": 1, "owner": str(WALLET), "data": ["AAAA", "base58"]},
        {"lamports": 1, "owner": str(WALLET), "data": ["AAAAAAAA", "base64"]},
        {"lamports": -1, "owner": str(WALLET), "data": ["", "base64"]},
    ],
)
async def test_accounts_that_can_not_be_read_are_refused(account: dict[str, object]):
    server = FaultyServer()
    server.replies["getMultipleAccounts"] = lambda _: server.of([account])
    async with client_of(server) as rpc:
        with pytest.raises(InvalidAnswer):
            await rpc.accounts([WALLET], data_slice=(0, 4))


async def test_a_node_that_lags_is_used_last():
    slow, good = FaultyServer(slot=900), FaultyServer(slot=1_000)
    async with client_of(slow, good) as rpc:
        found = await rpc.probe()
        assert [(one.state, one.lag) for one in found] == [("lagging", 100), ("healthy", 0)]
        await rpc.balance(WALLET)
        assert (slow.calls["getBalance"], good.calls["getBalance"]) == (0, 1)


async def test_no_more_requests_than_its_rate_go_to_an_endpoint():
    server = FaultyServer()
    async with serving(server):
        rpc = ChainRpc([f"{server.url}#rate=20"], LIMITS)
        await rpc.start()
        began = asyncio.get_running_loop().time()
        await asyncio.gather(*(rpc.balance(WALLET) for _ in range(30)))
        took = asyncio.get_running_loop().time() - began
        await rpc.stop()
    # 31 requests, one for the genesis: 20 at once, and 11 at 20 a second.
    assert took >= 0.5


async def test_no_more_requests_than_allowed_are_in_flight():
    server = FaultyServer()
    server.late_s = 0.05
    async with client_of(server, limits=RpcLimits(in_flight_max=2, waiting_max=10)) as rpc:
        answers = await asyncio.gather(*(rpc.balance(WALLET) for _ in range(15)), return_exceptions=True)
    refused = [one for one in answers if isinstance(one, ChainUnavailable)]
    assert (len(refused), answers.count(7)) == (5, 10)


async def test_errors_never_show_the_key_in_a_url():
    server = FaultyServer()
    async with serving(server):
        pass
    rpc = ChainRpc([f"http://user:secret@127.0.0.1:{server.port}/secret?api-key=secret"], LIMITS)
    await rpc.start()
    with pytest.raises(ChainUnavailable) as raised:
        await rpc.balance(WALLET)
    assert "secret" not in f"{raised.value!r} {rpc.endpoints()}"
    await rpc.stop()
