import base64
import json
from pathlib import Path

import pytest
from solders.hash import Hash
from solders.keypair import Keypair
from solders.message import MessageV0, to_bytes_versioned
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer
from typer.testing import CliRunner, Result

from ece import cli
from ece.failure import Failure


@pytest.fixture(autouse=True)
def own_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ECE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "200")


def run(*arguments: str, given: str = "") -> Result:
    return CliRunner().invoke(cli.app, ["wallets", *arguments], input=given)


def test_addresses_are_shown_and_stay_the_same():
    shown = run("addresses", "--json")
    assert shown.exit_code == 0
    named = json.loads(shown.output)
    assert [*named][:3] == ["authority", "vault", "treasury"]
    assert json.loads(run("addresses", "--json").output) == named
    assert all(f"{name:<12} {address}" in run("addresses").output for name, address in named.items())


def test_no_command_shows_a_secret_key(monkeypatch: pytest.MonkeyPatch):
    pair = Keypair()
    monkeypatch.setenv("ECE_CHAIN_TREASURY_KEY", str(pair))
    shown = run("addresses").output
    assert str(pair.pubkey()) in shown
    assert str(pair) not in shown


def test_a_message_is_shown_with_the_names_of_our_keys():
    treasury = Pubkey.from_string(json.loads(run("addresses", "--json").output)["treasury"])
    instruction = transfer(TransferParams(from_pubkey=treasury, to_pubkey=Keypair().pubkey(), lamports=7))
    message = to_bytes_versioned(MessageV0.try_compile(treasury, [instruction], [], Hash.default()))
    shown = run("decode", "-", given=base64.b64encode(message).decode())
    assert shown.exit_code == 0
    assert f"fees     {treasury} (treasury)" in shown.output
    assert "System: Transfer 7 lamports" in shown.output
    as_json = json.loads(run("decode", "-", "--json", given=base64.b64encode(message).decode()).output)
    assert as_json["instructions"][0]["detail"] == "7 lamports"


def test_what_is_no_message_is_a_clear_failure():
    result = run("decode", "-", given="hello")
    assert isinstance(result.exception, Failure)
    assert "base64" in str(result.exception)


def test_a_key_that_cannot_be_used_is_a_clear_failure(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ECE_CHAIN_VAULT_KEY", "nonsense")
    result = run("addresses")
    assert isinstance(result.exception, Failure)
    assert "vault" in str(result.exception)
    assert "nonsense" not in str(result.exception)
