"""The methods of the JSON-RPC interface, by what they answer."""

import base64
from typing import Any

import pytest
from chain_scene import SOL, Scene, as_received, text_of
from hypothesis import given
from hypothesis import strategies as st
from solders.account import Account
from solders.address_lookup_table_account import AddressLookupTableAccount
from solders.compute_budget import set_compute_unit_limit, set_compute_unit_price
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.message import MessageV0, to_bytes_versioned
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer
from solders.transaction import VersionedTransaction

from chain import base58
from chain.local.ledger.indexes import AccountIndexes
from chain.local.methods.accounts import passes
from chain.local.programs import SYSTEM, TOKEN, TOKEN_2022, associated_token_address

PROCESSED = {"commitment": "processed"}
CONFIRMED = {"commitment": "confirmed"}
USDC = 10**6
LOOKUP_PROGRAM = Pubkey.from_string("AddressLookupTab1e1111111111111111111111111")


async def test_usdc_exists_from_the_start_and_its_faucet_hands_it_out(scene: Scene) -> None:
    mint, owner = await scene.call("ece_usdcMint"), Pubkey.new_unique()
    await scene.call("ece_airdropUsdc", str(owner), 5 * USDC)
    await scene.call("ece_airdropUsdc", str(owner), 5 * USDC)
    account = str(associated_token_address(owner, Pubkey.from_string(mint)))
    amount = {"amount": "10000000", "decimals": 6, "uiAmount": 10.0, "uiAmountString": "10"}
    assert (await scene.call("getTokenAccountBalance", account, PROCESSED))["value"] == amount
    assert (await scene.call("getTokenSupply", mint, PROCESSED))["value"] == amount
    largest = (await scene.call("getTokenLargestAccounts", mint, PROCESSED))["value"]
    assert largest == [{"address": account, **amount}]
    [only] = (await scene.call("getTokenAccountsByOwner", str(owner), {"mint": mint}, _parsed()))["value"]
    assert only["pubkey"] == account
    info = only["account"]["data"]["parsed"]["info"]
    assert (info["mint"], info["owner"], info["tokenAmount"]) == (mint, str(owner), amount)
    assert (await scene.call("getTokenAccountsByOwner", str(owner), {"programId": str(TOKEN_2022)}, _parsed()))[
        "value"
    ] == []


async def test_a_transaction_of_tokens_has_the_balances_before_and_after(scene: Scene) -> None:
    mint, owner = await scene.call("ece_usdcMint"), Pubkey.new_unique()
    signature = await scene.call("ece_airdropUsdc", str(owner), 5 * USDC)
    await scene.ticks()
    found = await scene.call("getTransaction", signature, CONFIRMED | {"maxSupportedTransactionVersion": 0})
    assert found["meta"]["preTokenBalances"] == []
    [after] = found["meta"]["postTokenBalances"]
    assert (after["mint"], after["owner"], after["uiTokenAmount"]["amount"]) == (mint, str(owner), "5000000")
    keys = found["transaction"]["message"]["accountKeys"]
    assert keys[after["accountIndex"]] == str(associated_token_address(owner, Pubkey.from_string(mint)))


async def test_accounts_are_read_in_each_encoding_and_in_slices(scene: Scene) -> None:
    mint = await scene.call("ece_usdcMint")
    [data, encoding] = (await scene.call("getAccountInfo", mint, {"encoding": "base64"}))["value"]["data"]
    raw = base64.b64decode(data)
    assert (encoding, len(raw)) == ("base64", 82)
    short = (await scene.call("getAccountInfo", mint, {"encoding": "base58"}))["value"]["data"]
    assert short == [base58.encode(raw), "base58"]
    sliced = {"encoding": "base64", "dataSlice": {"offset": 44, "length": 1}}
    both = (await scene.call("getMultipleAccounts", [mint, str(Pubkey.new_unique())], sliced))["value"]
    assert [one and one["data"][0] for one in both] == [base64.b64encode(b"\6").decode(), None]
    parsed = (await scene.call("getAccountInfo", mint, {"encoding": "jsonParsed"}))["value"]["data"]
    assert (parsed["program"], parsed["parsed"]["type"], parsed["parsed"]["info"]["decimals"]) == (
        "spl-token",
        "mint",
        6,
    )


async def test_program_accounts_are_filtered_by_size_and_bytes(scene: Scene) -> None:
    owners = [Pubkey.new_unique() for _ in range(3)]
    for owner in owners:
        await scene.call("ece_airdropUsdc", str(owner), USDC)
    of_first = [{"dataSize": 165}, {"memcmp": {"offset": 32, "bytes": str(owners[0])}}]
    found = await scene.call("getProgramAccounts", str(TOKEN), {"filters": of_first, "encoding": "base64"} | PROCESSED)
    assert len(found) == 1
    everyone = await scene.call(
        "getProgramAccounts",
        str(TOKEN),
        {"filters": [{"dataSize": 165}], "encoding": "base64", "withContext": True} | PROCESSED,
    )
    assert len(everyone["value"]) == 3
    assert await scene.call("getProgramAccounts", str(TOKEN), {"filters": of_first, "encoding": "base64"}) == []


async def test_a_balance_and_a_blockhash_are_of_the_slot_that_they_name(scene: Scene) -> None:
    await scene.funded(7 * SOL)
    address = str(scene.payer.pubkey())
    assert (await scene.call("getBalance", address, CONFIRMED))["value"] == 7 * SOL
    assert (await scene.call("getBalance", address))["value"] == 0
    newest = await scene.call("getLatestBlockhash", PROCESSED)
    height = await scene.call("getBlockHeight", PROCESSED)
    assert newest["value"]["lastValidBlockHeight"] == height + 150
    assert newest["context"]["slot"] == await scene.call("getSlot", PROCESSED)
    assert (await scene.call("isBlockhashValid", newest["value"]["blockhash"]))["value"] is True
    assert (await scene.call("isBlockhashValid", str(Pubkey.new_unique())))["value"] is False


async def test_a_member_that_is_null_is_left_open(scene: Scene) -> None:
    left_open = {"commitment": None, "minContextSlot": None, "limit": None, "before": None}
    assert await scene.call("getSignaturesForAddress", str(Pubkey.new_unique()), left_open) == []


async def test_a_slot_that_is_not_reached_is_an_error(scene: Scene) -> None:
    ahead = PROCESSED | {"minContextSlot": scene.node.blocks.slot + 1}
    assert (await scene.error("getBalance", str(Pubkey.new_unique()), ahead))[0] == -32016


async def test_statuses_come_in_order_and_are_null_for_the_unknown(scene: Scene) -> None:
    await scene.funded()
    good = await scene.send(scene.payment(Pubkey.new_unique()))
    bad = await scene.send(scene.payment(Pubkey.new_unique(), 10**6 * SOL))
    unknown = Keypair().sign_message(b"x")
    answered = (await scene.call("getSignatureStatuses", [str(bad), str(unknown), str(good)]))["value"]
    assert [one and one["err"] for one in answered] == [{"InstructionError": [0, {"Custom": 1}]}, None, None]
    assert answered[2]["confirmationStatus"] == "processed"
    assert (await scene.error("getSignatureStatuses", [str(good)] * 257))[0] == -32602


async def test_the_history_of_an_address_comes_newest_first_and_in_pages(scene: Scene) -> None:
    await scene.funded()
    to = Pubkey.new_unique()
    sent = []
    for one in range(5):
        sent.append(str(await scene.send(scene.payment(to, SOL + one))))
        await scene.ticks()

    async def history(**config: Any) -> list[str]:
        found = await scene.call("getSignaturesForAddress", str(to), CONFIRMED | config)
        return [one["signature"] for one in found]

    newest_first = sent[::-1]
    assert await history() == newest_first
    assert await history(limit=2) == newest_first[:2]
    assert await history(before=newest_first[1], limit=2) == newest_first[2:4]
    assert await history(until=newest_first[3]) == newest_first[:3]
    assert (await scene.error("getSignaturesForAddress", str(to), PROCESSED))[0] == -32602


async def test_a_block_has_its_transactions(scene: Scene) -> None:
    await scene.funded()
    slot = scene.node.blocks.slot
    signature = await scene.send(scene.payment(Pubkey.new_unique()))
    await scene.ticks(2)
    full = CONFIRMED | {"maxSupportedTransactionVersion": 0}
    block = await scene.call("getBlock", slot, full)
    assert block["transactions"][0]["transaction"]["signatures"] == [str(signature)]
    signatures = await scene.call("getBlock", slot, full | {"transactionDetails": "signatures"})
    assert signatures["signatures"] == [str(signature)]
    assert slot in await scene.call("getBlocks", slot - 1, slot + 1, CONFIRMED)
    assert (await scene.error("getBlock", slot + 100, full))[0] == -32007


async def test_a_simulation_changes_nothing_and_says_what_would_be(scene: Scene) -> None:
    await scene.funded()
    to = Pubkey.new_unique()
    payment = scene.payment(to, SOL)
    config = {
        "encoding": "base64",
        "sigVerify": True,
        "accounts": {"addresses": [str(to)], "encoding": "base64"},
    }
    result = (await scene.call("simulateTransaction", text_of(payment), config))["value"]
    assert (result["err"], result["unitsConsumed"], result["accounts"][0]["lamports"]) == (None, 150, SOL)
    assert scene.balance(to) == 0
    stale = scene.payment(to, SOL, scene.node.blocks.hash_at(10**6))
    found = (await scene.call("simulateTransaction", text_of(stale), {"encoding": "base64"}))["value"]
    assert found["err"] == "BlockhashNotFound"
    replaced = {"encoding": "base64", "replaceRecentBlockhash": True}
    found = (await scene.call("simulateTransaction", text_of(stale), replaced))["value"]
    assert found["err"] is None
    assert found["replacementBlockhash"]["blockhash"] == str(scene.blockhash())


async def test_preflight_says_why_with_logs(scene: Scene) -> None:
    await scene.funded()
    poor = scene.payment(Pubkey.new_unique(), 10**6 * SOL)
    response = await scene.respond("sendTransaction", text_of(poor), {"encoding": "base64"})
    error = response["error"]
    assert error["code"] == -32002
    assert error["message"].endswith("Error processing Instruction 0: custom program error: 0x1")
    assert any("insufficient lamports" in line for line in error["data"]["logs"])


async def test_the_fee_of_a_message_counts_signatures_and_priority(scene: Scene) -> None:
    await scene.funded()
    plain = transfer(TransferParams(from_pubkey=scene.payer.pubkey(), to_pubkey=Pubkey.new_unique(), lamports=SOL))
    dear = [set_compute_unit_limit(100_000), set_compute_unit_price(2_000_000), plain]
    for instructions, fee in (([plain], 5000), (dear, 205_000)):
        message = bytes(to_bytes_versioned(scene.signed(instructions).message))
        text = base64.b64encode(message).decode()
        assert (await scene.call("getFeeForMessage", text, PROCESSED))["value"] == fee
    landed = await scene.send(scene.signed(dear))
    assert scene.has_landed(landed)
    assert scene.balance(scene.payer.pubkey()) == 99 * SOL - 205_000
    recent = await scene.call("getRecentPrioritizationFees", [str(scene.payer.pubkey())])
    assert recent[-1] == {"slot": scene.node.blocks.slot, "prioritizationFee": 2_000_000}
    assert len(recent) <= 150


async def test_a_transaction_may_take_addresses_from_a_lookup_table(scene: Scene) -> None:
    payer, to = await scene.funded(), Pubkey.new_unique()
    await scene.ticks(3)
    slot = scene.node.blocks.slot - 1
    table, bump = Pubkey.find_program_address([bytes(payer.pubkey()), slot.to_bytes(8, "little")], LOOKUP_PROGRAM)
    roles = [AccountMeta(payer.pubkey(), True, True), AccountMeta(SYSTEM, False, False)]
    create = bytes(4) + slot.to_bytes(8, "little") + bytes([bump])
    extend = (2).to_bytes(4, "little") + (1).to_bytes(8, "little") + bytes(to)
    own = [AccountMeta(table, False, True), AccountMeta(payer.pubkey(), True, False)]
    instructions = [
        Instruction(LOOKUP_PROGRAM, create, [*own, *roles]),
        Instruction(LOOKUP_PROGRAM, extend, [*own, *roles]),
    ]
    made = await scene.send(scene.signed(instructions))
    status = scene.node.status(made, search_history=False)
    assert status is not None
    assert status.error is None
    await scene.ticks(2)
    known = AddressLookupTableAccount(table, [to])
    params = TransferParams(from_pubkey=payer.pubkey(), to_pubkey=to, lamports=SOL)
    message = MessageV0.try_compile(payer.pubkey(), [transfer(params)], [known], scene.blockhash())
    assert to not in message.account_keys
    sent = await scene.send(as_received(VersionedTransaction(message, [payer])))
    await scene.ticks()
    assert scene.balance(to, "confirmed") == SOL
    found = await scene.call("getTransaction", str(sent), CONFIRMED | {"maxSupportedTransactionVersion": 0})
    assert found["meta"]["loadedAddresses"] == {"writable": [str(to)], "readonly": []}
    assert found["meta"]["postBalances"][-1] == SOL
    history = await scene.call("getSignaturesForAddress", str(to), CONFIRMED)
    assert [one["signature"] for one in history] == [str(sent)]


async def test_rent_is_that_of_mainnet(scene: Scene) -> None:
    assert await scene.call("getMinimumBalanceForRentExemption", 0) == 128 * 5080
    assert await scene.call("getMinimumBalanceForRentExemption", 165) == (128 + 165) * 5080


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("getBalance", []),
        ("getBalance", ["not an address"]),
        ("getBalance", [7]),
        ("getBalance", ["1" * 31]),
        ("getBalance", ["11111111111111111111111111111111", {"commitment": "eventually"}]),
        ("getBalance", ["11111111111111111111111111111111", {}, "one too many"]),
        ("getMultipleAccounts", [["11111111111111111111111111111111"] * 101]),
        ("getTokenAccountsByOwner", ["11111111111111111111111111111111", {}]),
        ("getTokenAccountBalance", ["11111111111111111111111111111111"]),
        ("getProgramAccounts", [str(TOKEN), {"filters": [{"dataSize": 1}] * 5}]),
        ("getProgramAccounts", [str(TOKEN), {"filters": [{"memcmp": {"offset": 0, "bytes": "0OIl"}}]}]),
        ("getMinimumBalanceForRentExemption", [-1]),
        ("requestAirdrop", ["11111111111111111111111111111111", -5]),
        ("sendTransaction", ["AAAA", {"encoding": "base64"}]),
        ("sendTransaction", ["A" * 20_000, {"encoding": "base64"}]),
        ("getFeeForMessage", ["AAAA"]),
        ("ece_rollBack", [0]),
        ("ece_advance", [10**9]),
    ],
)
async def test_parameters_that_make_no_sense_are_invalid(scene: Scene, method: str, params: list[Any]) -> None:
    assert (await scene.error(method, *params))[0] == -32602


async def test_an_unknown_method_is_not_found(scene: Scene) -> None:
    assert await scene.error("getNothing") == (-32601, "Method not found")


async def test_slots_are_produced_at_once_for_tests(scene: Scene) -> None:
    slot = scene.node.blocks.slot
    assert await scene.call("ece_advance", 200) == slot + 200


addresses = st.integers(0, 15).map(lambda number: Pubkey(bytes([number]) * 32))
accounts = st.none() | st.builds(
    lambda program, fields: Account(1, b"".join(bytes([one]) * 32 for one in fields), program, False, 0),
    st.sampled_from([TOKEN, TOKEN_2022, SYSTEM]),
    st.lists(st.integers(0, 2), max_size=6),
)


@given(st.lists(st.tuples(addresses, accounts), max_size=40))
def test_the_indexes_find_what_a_scan_finds(changes: list[tuple[Pubkey, Account | None]]) -> None:
    indexes, now = AccountIndexes(), dict[Pubkey, Account]()
    for address, account in changes:
        indexes.replace(address, now.get(address), account)
        if account is None:
            now.pop(address, None)
        else:
            now[address] = account
    for program in (TOKEN, TOKEN_2022, SYSTEM):
        assert set(indexes.candidates(program)) == {one for one, account in now.items() if account.owner == program}
    for offset in (0, 32):
        for byte in range(3):
            value = bytes([byte]) * 32
            found = {
                one
                for one, account in now.items()
                if account.owner == TOKEN and passes(account.data, [(None, offset, value)])
            }
            assert set(indexes.candidates(TOKEN, offset, value)) == found


@given(st.binary(max_size=100))
def test_base58_is_its_own_inverse(data: bytes) -> None:
    assert base58.decode(base58.encode(data)) == data


def test_base58_is_that_of_solana() -> None:
    address = Pubkey.new_unique()
    assert base58.encode(bytes(address)) == str(address)


def _parsed() -> dict[str, str]:
    return PROCESSED | {"encoding": "jsonParsed"}
