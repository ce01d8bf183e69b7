"""The process of the local chain: what it keeps when it is killed, and what its port refuses."""

import asyncio
import json
import threading
from contextlib import closing

import httpx
import pytest
from solders.pubkey import Pubkey
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.chain_process import ChainProcess, is_confirmed, payment, until


def test_what_was_confirmed_outlives_kill_9_and_the_chain_goes_on_behind_it(chain: ChainProcess) -> None:
    payer = chain.funded()
    accounts = [Pubkey.new_unique() for _ in range(120)]
    confirmed: list[int] = []
    for life in range(3):
        blockhash = chain.blockhash()
        begun = life * 40
        sent = {
            one: chain.send(payment(payer, accounts[one], 10**7 + one, blockhash)) for one in range(begun, begun + 40)
        }
        acknowledged: set[int] = set()

        def some_are_confirmed(sent: dict[int, str] = sent, acknowledged: set[int] = acknowledged) -> bool:
            statuses = chain.statuses(list(sent.values()))
            acknowledged.update(one for one, status in zip(sent, statuses, strict=True) if is_confirmed(status))
            return bool(acknowledged)

        until(some_are_confirmed, "confirmed")
        height, slot = chain.call("getBlockHeight", {"commitment": "processed"}), chain.call("getSlot")
        chain.kill()
        chain.start()
        confirmed += acknowledged
        assert chain.call("getBlockHeight", {"commitment": "processed"}) >= height
        assert chain.call("getSlot") >= slot
        missing = [
            one
            for one in confirmed
            if chain.call("getBalance", str(accounts[one]), {"commitment": "processed"})["value"] != 10**7 + one
        ]
        assert missing == []


def test_the_same_bytes_land_once_across_kills(chain: ChainProcess) -> None:
    payer, to = chain.funded(), Pubkey.new_unique()
    raw = payment(payer, to, 10**7, chain.blockhash())
    for _ in range(3):
        signature = chain.send(raw)
        chain.confirmed(signature)
        chain.kill()
        chain.start()
    assert chain.call("getBalance", str(to))["value"] == 10**7


def test_a_stop_by_signal_is_clean_and_keeps_all(chain: ChainProcess) -> None:
    payer, to = chain.funded(), Pubkey.new_unique()
    chain.send(payment(payer, to, 10**7, chain.blockhash()))
    assert chain.end() == 0
    chain.start()
    assert chain.call("getBalance", str(to), {"commitment": "processed"})["value"] == 10**7


def test_a_lost_answer_ends_the_connection_and_the_transaction_lands(chain: ChainProcess) -> None:
    payer, to = chain.funded(), Pubkey.new_unique()
    chain.call("ece_setFaults", {"loseAnswerRate": 1})
    with pytest.raises(httpx.TransportError):
        chain.send(payment(payer, to, 10**7, chain.blockhash()))
    balance = chain.call("getBalance", str(to), {"commitment": "processed"})
    assert balance["value"] == 10**7


def test_a_rate_limit_is_a_429_and_can_be_switched_off(chain: ChainProcess) -> None:
    chain.call("ece_setFaults", {"limitRate": 1})
    limited = chain.post({"jsonrpc": "2.0", "id": 1, "method": "getHealth"})
    assert (limited.status_code, limited.headers["retry-after"]) == (429, "1")
    chain.call("ece_setFaults", {"limitRate": 0})
    assert chain.call("getHealth") == "ok"


def test_faults_may_be_on_from_the_start(tmp_path_factory: pytest.TempPathFactory) -> None:
    with closing(ChainProcess(tmp_path_factory.mktemp("faulty"), ECE_CHAIN_FAULTS='{"dropRate": 0.5}')) as faulty:
        faulty.start()
        assert faulty.call("ece_faults")["dropRate"] == 0.5


def test_requests_come_in_batches_and_errors_have_their_codes(chain: ChainProcess) -> None:
    def request(number: int, method: str) -> dict[str, object]:
        return {"jsonrpc": "2.0", "id": number, "method": method}

    answers = chain.post([request(1, "getHealth"), request(2, "getNothing"), 3]).json()
    assert [one.get("result") or one["error"]["code"] for one in answers] == ["ok", -32601, -32600]
    assert [one["id"] for one in answers] == [1, 2, None]
    json_type = {"content-type": "application/json"}
    assert chain.raw("POST", content=b"{", headers=json_type).json()["error"]["code"] == -32700
    assert chain.raw("POST", content=b"[" * 100_000, headers=json_type).json()["error"]["code"] == -32700
    assert chain.post([]).json()["error"]["code"] == -32600
    assert chain.post([request(1, "getHealth")] * 1001).json()["error"]["code"] == -32600


def test_what_is_no_request_to_this_server_is_refused(chain: ChainProcess) -> None:
    health = b'{"jsonrpc":"2.0","id":1,"method":"getHealth"}'
    assert chain.raw("POST", content=health, headers={"content-type": "text/plain"}).status_code == 415
    assert chain.raw("GET").status_code == 405
    assert chain.post({}, headers={"host": "evil.example"}).status_code == 403
    big = b'"' + b"x" * (1024 * 1024 + 1) + b'"'
    assert chain.raw("POST", content=big, headers={"content-type": "application/json"}).status_code == 413
    operator = {"jsonrpc": "2.0", "id": 1, "method": "ece_faults"}
    from_a_page = chain.post(operator, headers={"origin": "http://127.0.0.1:8000"}).json()
    assert from_a_page["error"]["code"] == -32601
    assert "result" in chain.post(operator).json()


def test_it_only_listens_on_loopback(chain: ChainProcess) -> None:
    with open(f"/proc/{chain.pid}/net/tcp") as table:
        listening = [line.split()[1] for line in table if f":{chain.port:04X} " in line]
    assert {one.partition(":")[0] for one in listening if one.endswith(f":{chain.port:04X}")} == {"0100007F"}


# Subscriptions


async def call(socket: ClientConnection, method: str, *params: object) -> object:
    await socket.send(json.dumps({"jsonrpc": "2.0", "id": 7, "method": method, "params": params}))
    while True:
        message = await receive(socket)
        if message.get("id") == 7:
            return message.get("result", message.get("error"))


async def receive(socket: ClientConnection) -> dict[str, object]:
    async with asyncio.timeout(10):
        message: dict[str, object] = json.loads(await socket.recv())
    return message


async def next_of(socket: ClientConnection, method: str) -> dict[str, object]:
    while True:
        message = await receive(socket)
        if message.get("method") == method:
            params = message["params"]
            assert isinstance(params, dict)
            return params


@pytest.mark.parametrize("port", [0, 1])
async def test_a_signature_is_told_once_at_its_commitment(chain: ChainProcess, port: int) -> None:
    payer = await asyncio.to_thread(chain.funded)
    raw = payment(payer, Pubkey.new_unique(), 10**7, await asyncio.to_thread(chain.blockhash))
    async with connect(f"ws://127.0.0.1:{chain.port + port}") as socket:
        signature = await asyncio.to_thread(chain.send, raw)
        number = await call(socket, "signatureSubscribe", signature, {"commitment": "confirmed"})
        told = await next_of(socket, "signatureNotification")
        assert (told["subscription"], told["result"]["value"]) == (number, {"err": None})  # type: ignore[index]
        assert (await asyncio.to_thread(chain.statuses, [signature]))[0]["confirmationStatus"] != "processed"
        unsubscribed = await call(socket, "signatureUnsubscribe", number)
        assert unsubscribed == {"code": -32602, "message": "Invalid subscription id."}


async def test_accounts_programs_logs_and_slots_are_told(chain: ChainProcess) -> None:
    owner = Pubkey.new_unique()
    mint = await asyncio.to_thread(chain.call, "ece_usdcMint")
    confirmed = {"commitment": "confirmed", "encoding": "base64"}
    token = "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA"
    async with connect(chain.url.replace("http", "ws")) as socket:
        await call(socket, "accountSubscribe", mint, confirmed)
        filters = [{"dataSize": 165}, {"memcmp": {"offset": 32, "bytes": str(owner)}}]
        await call(socket, "programSubscribe", token, confirmed | {"filters": filters})
        await call(socket, "logsSubscribe", {"mentions": [token]}, {"commitment": "processed"})
        signature = await asyncio.to_thread(chain.call, "ece_airdropUsdc", str(owner), 5)
        told: dict[str, object] = {}
        while len(told) < 3:
            message = await receive(socket)
            told[str(message.get("method"))] = message["params"]["result"]["value"]  # type: ignore[index]
        assert told["logsNotification"]["signature"] == signature  # type: ignore[index]
        assert told["accountNotification"]["owner"] == token  # type: ignore[index]
        assert told["programNotification"]["account"]["space"] == 165  # type: ignore[index]
        await call(socket, "slotSubscribe")
        slots = [(await next_of(socket, "slotNotification"))["result"]["slot"] for _ in range(3)]  # type: ignore[index]
        assert slots == list(range(slots[0], slots[0] + 3))


async def test_subscriptions_of_a_connection_are_bounded(chain: ChainProcess) -> None:
    async with connect(chain.url.replace("http", "ws")) as socket:
        answers = [await call(socket, "accountSubscribe", str(Pubkey.new_unique())) for _ in range(1001)]
        assert answers[-1]["code"] == -32602  # type: ignore[index]
        assert len(set(map(str, answers[:-1]))) == 1000


async def test_frames_that_are_too_large_end_the_connection_and_nothing_else(chain: ChainProcess) -> None:
    async with connect(chain.url.replace("http", "ws")) as socket:
        await socket.send("x" * 100_000)
        with pytest.raises(ConnectionClosed):
            await receive(socket)
    assert await asyncio.to_thread(chain.call, "getHealth") == "ok"


def test_many_threads_may_send_at_once(chain: ChainProcess) -> None:
    payer = chain.funded()
    blockhash = chain.blockhash()
    accounts = [Pubkey.new_unique() for _ in range(40)]

    def send(part: int) -> None:
        for one in range(part, 40, 4):
            chain.send(payment(payer, accounts[one], 10**7, blockhash))

    threads = [threading.Thread(target=send, args=(part,)) for part in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    until(
        lambda: all(
            chain.call("getBalance", str(one), {"commitment": "processed"})["value"] == 10**7 for one in accounts
        ),
        "landed",
    )


def test_two_chains_have_nothing_in_common(chain: ChainProcess, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = ChainProcess(tmp_path_factory.mktemp("other"))
    other.start()
    try:
        assert other.call("getGenesisHash") != chain.call("getGenesisHash")
    finally:
        other.close()
