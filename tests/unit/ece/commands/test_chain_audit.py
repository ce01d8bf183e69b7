"""`ece chain audit`: what it counts and shows, how it ends, what it repairs."""

import json
from collections.abc import Mapping, Sequence
from io import StringIO
from typing import Any

import msgspec
import pytest
import typer
from rich.console import Console

from domain.minting.custody import NOBODY
from domain.wallets.custody import CustodialWallet
from domain.wallets.solvency import Booked, compare
from ece.commands.chain import audit as command
from ece.commands.chain.audit import Audit, Auditor, Finding
from ece.commands.chain.solvency import MoneyAuditor
from persistence.minting.ownership import Holding

ANN, VAULT, HERS, OUTSIDE = 7, "vault", "wallet of ann", "wallet outside"
QUIET = Console(file=StringIO())


def card(copy: int, place: str = "free", holder: str = HERS, *, owner: int = ANN, moving: bool = False) -> Holding:
    return Holding(copy, f"asset {copy}", "token-2022", holder, 10, owner, "ann", place, moving, 1)


class Cards:
    """What the database says, and which copies were to be moved again."""

    def __init__(self, *cards: Holding) -> None:
        self.cards = cards
        self.again: list[int] = []

    async def count(self) -> int:
        return len(self.cards)

    async def page(self, after_copy: int, limit: int) -> list[Holding]:
        return [one for one in self.cards if one.copy > after_copy][:2]

    async def move_again(self, copies: Sequence[int]) -> int:
        self.again += copies
        return len(copies)


class OneWallet:
    """Ann's."""

    async def of(self, users: Sequence[int]) -> Mapping[int, CustodialWallet]:
        return {ANN: CustodialWallet(ANN, HERS, "k", b"")} if ANN in users else {}

    async def page(self, after_user: int, limit: int) -> list[CustodialWallet]:
        return [CustodialWallet(ANN, HERS, "k", b"")] if after_user < ANN else []


class OnChain:
    """Who has which asset; the known holder, unless it says another one."""

    def __init__(self, **others: str | None) -> None:
        self._others = others

    async def holders(self, held: Sequence[tuple[str, str, str]]) -> list[tuple[str | None, int]]:
        return [(self._others.get(asset.replace(" ", ""), holder), 99) for _, asset, holder in held]


async def audited(cards: Cards, chain: OnChain, *, repair: bool = False) -> Audit:
    return await Auditor(cards, OneWallet(), chain, VAULT).compare(QUIET, repair=repair)


async def test_every_card_is_counted_once_on_all_pages():
    cards = Cards(
        card(1), card(2, "listed", VAULT), card(3, "withdrawn", OUTSIDE), card(4, "listed", HERS, moving=True),
        card(5, "listed", HERS), card(6, "withdrawn", OUTSIDE, owner=NOBODY),
    )  # fmt: skip
    found = await audited(cards, OnChain(asset3="elsewhere"))
    assert (found.cards, found.agree, found.moving, found.differ, found.repaired) == (6, 3, 1, 2, 0)
    assert [(one.asset, one.expected, one.holder, one.slot) for one in found.findings] == [
        ("asset 3", OUTSIDE, "elsewhere", 99), ("asset 5", VAULT, HERS, 99)
    ]  # fmt: skip
    assert (found.fault, cards.again) == (True, [])


async def test_repair_moves_only_what_is_in_a_wrong_wallet_where_the_engine_knows_it():
    cards = Cards(
        card(1, "listed", HERS), card(2), card(3, "listed", HERS, moving=True), card(4, "withdrawn", OUTSIDE), card(5)
    )
    found = await audited(cards, OnChain(asset4=None, asset5="thief"), repair=True)
    assert (cards.again, found.repaired, found.differ) == ([1], 1, 3)


class Money:
    """Balances by account; each look may see other ones."""

    def __init__(self, *looks: Mapping[str, int]) -> None:
        self._looks = list(looks)

    def account_of(self, wallet: str) -> str:
        return wallet

    async def balances(self, accounts: Sequence[str]) -> list[int]:
        now = self._looks[0]
        if "treasury" in accounts and len(self._looks) > 1:
            self._looks.pop(0)
        return [now.get(account, 0) for account in accounts]


async def hundred() -> Booked:
    return Booked(100, 100, 0, 0, 30, 0)


async def test_money_in_all_wallets_is_compared_with_what_is_owed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("ece.commands.chain.solvency.AGAIN_S", 0)
    fine = MoneyAuditor(hundred, OneWallet(), Money({"treasury": 70, HERS: 30}), "treasury")
    assert (await fine.compare()).finding is None
    moved = MoneyAuditor(hundred, OneWallet(), Money({"treasury": 70}, {"treasury": 100}), "treasury")
    assert (await moved.compare()).finding is None
    short = await MoneyAuditor(hundred, OneWallet(), Money({"treasury": 70, HERS: 29}), "treasury").compare()
    assert short.finding is not None
    assert (short.finding.code, short.finding.expected, short.finding.found) == ("usdc_missing", 100, 99)


def answered(monkeypatch: pytest.MonkeyPatch, found: Audit) -> None:
    async def audited(*_: Any) -> Audit:
        return found

    monkeypatch.setattr(command, "_audited", audited)


FINDING = Finding("1", "asset", "there", None, 5, "nobody holds it")
BOOKED = Booked(5_000_000, 5_000_000, 0, 0, 0, 0)


@pytest.mark.parametrize(
    ("found", "code"),
    [
        (Audit(cards=2, agree=1, moving=1, usdc=compare(BOOKED, 5_000_000, 0)), 0),
        (Audit(cards=1, agree=1, usdc=compare(BOOKED, 6_000_000, 0)), 0),
        (Audit(cards=1, agree=1, usdc=compare(BOOKED, 4_999_999, 0)), 1),
        (Audit(cards=1, differ=1, findings=[FINDING]), 1),
    ],
)
def test_it_ends_with_1_if_a_card_is_elsewhere_or_money_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], found: Audit, code: int
):
    answered(monkeypatch, found)
    for as_json in (True, False):
        ended = 0
        try:
            command.audit(as_json=as_json, repair=False)
        except typer.Exit as exited:
            ended = exited.exit_code
        assert ended == code
        if as_json:
            assert json.loads(capsys.readouterr().out) == msgspec.to_builtins(found)


def test_the_text_names_each_card_and_both_sums(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    answered(monkeypatch, Audit(cards=1, differ=1, findings=[FINDING], usdc=compare(BOOKED, 4_999_999, 0)))
    with pytest.raises(typer.Exit):
        command.audit(as_json=False, repair=False)
    shown = capsys.readouterr().out
    for text in ("1 cards: 0 agree", "copy 1: nobody holds it", "as of slot 5", "5.000000 owed",
                 "usdc_missing: expected 5.000000, found 4.999999"):  # fmt: skip
        assert text in shown
