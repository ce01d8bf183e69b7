import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st
from solders.hash import Hash
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.message import Message, MessageV0, MessageV1, to_bytes_versioned
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer
from solders.transaction import VersionedTransaction

from chain.wallets.decoded import NotAMessage, decoded, message_bytes

PAYER, TO = Keypair(), Keypair().pubkey()
TOKEN = Pubkey.from_string("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA")
MEMO = Pubkey.from_string("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr")
INSTRUCTIONS = [
    transfer(TransferParams(from_pubkey=PAYER.pubkey(), to_pubkey=TO, lamports=5_000)),
    Instruction(TOKEN, bytes([12]) + (7_000_000).to_bytes(8, "little") + b"\x06", [AccountMeta(TO, False, True)]),
    Instruction(MEMO, b"hello", []),
    Instruction(Pubkey.default(), b"", []),
]
V0 = MessageV0.try_compile(PAYER.pubkey(), INSTRUCTIONS, [], Hash.default())
NAMES = {str(PAYER.pubkey()): "treasury"}


@pytest.mark.parametrize(
    ("version", "raw"),
    [
        ("v0", to_bytes_versioned(V0)),
        ("v0", bytes(VersionedTransaction(V0, [PAYER]))),
        ("legacy", bytes(Message.new_with_blockhash(INSTRUCTIONS, PAYER.pubkey(), Hash.default()))),
        ("v1", to_bytes_versioned(MessageV1.try_compile(PAYER.pubkey(), INSTRUCTIONS, Hash.default()))),
    ],
)
def test_a_message_or_transaction_of_any_version_is_shown(version: str, raw: bytes):
    found = decoded(message_bytes(base64.b64encode(raw).decode()), NAMES)
    assert (found.version, found.size) == (version, len(raw))
    assert found.signers == [f"{PAYER.pubkey()} (treasury)"]
    assert [(one.program, one.name, one.detail) for one in found.instructions] == [
        ("System", "Transfer", "5,000 lamports"),
        ("Token", "TransferChecked", "7,000,000 base units"),
        ("Memo", "Memo", "hello"),
        ("System", None, None),
    ]
    assert found.instructions[0].accounts == [f"{PAYER.pubkey()} (treasury)", str(TO)]
    assert str(TO) in found.writable


@given(st.binary(max_size=300))
def test_bytes_that_are_no_message_are_refused(raw: bytes):
    try:
        decoded(raw, {})
    except NotAMessage:
        return


@given(st.data())
def test_a_cut_or_changed_transaction_never_fails_otherwise(data: st.DataObject):
    raw = bytearray(VersionedTransaction(V0, [PAYER]).__bytes__())
    raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        decoded(bytes(raw[: data.draw(st.integers(0, len(raw)))]), {})
    except NotAMessage:
        return


@pytest.mark.parametrize("text", ["", "nonsense!", "é", base64.b64encode(b"x" * 5_000).decode()])
def test_text_that_is_no_message_is_refused(text: str):
    with pytest.raises(NotAMessage):
        message_bytes(text)
