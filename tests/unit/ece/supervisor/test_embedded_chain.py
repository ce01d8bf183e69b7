"""What the supervisor tells all processes of the embedded chain."""

import socket
from contextlib import closing
from pathlib import Path

import pytest

from ece.data_dir import DataDir
from ece.failure import Failure
from ece.settings import BadSetting, load_settings
from ece.supervisor.chain import shown_urls, with_embedded_chain


def test_port_and_usdc_stay_the_same_for_a_data_directory(tmp_path: Path) -> None:
    first = with_embedded_chain(load_settings(), DataDir(tmp_path))
    second = with_embedded_chain(load_settings(), DataDir(tmp_path))
    assert first.rpc_urls == [f"http://127.0.0.1:{first.chain_port}"]
    assert (first.rpc_urls, first.usdc_mint) == (second.rpc_urls, second.usdc_mint)
    other = with_embedded_chain(load_settings(), DataDir(tmp_path / "other"))
    assert other.usdc_mint != first.usdc_mint


def test_a_port_that_is_taken_meanwhile_is_replaced(tmp_path: Path) -> None:
    first = with_embedded_chain(load_settings(), DataDir(tmp_path))
    assert first.chain_port is not None
    with closing(socket.create_server(("127.0.0.1", first.chain_port))):
        second = with_embedded_chain(load_settings(), DataDir(tmp_path))
    assert second.chain_port != first.chain_port


def test_a_port_that_was_asked_for_and_is_taken_is_a_failure(tmp_path: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        settings = load_settings(chain_port=taken.getsockname()[1])
        with pytest.raises(Failure, match="ECE_CHAIN_PORT"):
            with_embedded_chain(settings, DataDir(tmp_path))


def test_damaged_keys_stop_the_start_with_a_sentence(tmp_path: Path) -> None:
    DataDir(tmp_path).chain.mkdir()
    (DataDir(tmp_path).chain / "keys.json").write_text("{}")
    with pytest.raises(Failure, match="damaged"):
        with_embedded_chain(load_settings(), DataDir(tmp_path))


def test_external_servers_are_shown_without_their_keys() -> None:
    urls = "https://rpc.example/hunter2, https://user:hunter2@other.example:443/?api-key=hunter2"
    settings = load_settings(solana_rpc_url=urls)
    assert len(settings.rpc_urls) == 2
    assert shown_urls(settings) == "https://rpc.example, https://other.example:443"
    assert "hunter2" not in repr(settings)
    assert (load_settings(solana_rpc_url="none").rpc_urls, shown_urls(load_settings(solana_rpc_url="none"))) == (
        [],
        "none",
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("solana_rpc_url", "ws://127.0.0.1:8900"),
        ("solana_rpc_url", "none,https://rpc.example"),
        ("solana_rpc_url", ","),
        ("usdc_mint", "0x1234"),
        ("usdc_mint", "abc"),
        ("chain_port", 65535),
        ("chain_slot_ms", 1),
        ("chain_faults", "drop everything"),
        ("chain_faults", '{"dropRate": 2}'),
        ("chain_faults", '{"drop": 1}'),
    ],
)
def test_settings_that_make_no_sense_are_refused(name: str, value: object) -> None:
    with pytest.raises(BadSetting, match=f"ECE_{name.upper()}"):
        load_settings(**{name: value})
