"""The demo's cards and pictures: the same for the same seed, and all of them cards."""

from io import BytesIO
from pathlib import Path

import msgspec
import pytest
from PIL import Image
from rich.console import Console

from domain.auction.terms import terms_fault
from domain.catalog.rows import row_from_json
from domain.ids import id_text
from ece.commands.demo import draw
from ece.demo.cards import CREATURES, ELEMENTS, MEDIA_PATH, RARITIES, SET_SIZE, demo_card, demo_set
from ece.demo.creatures import DRAWN_BY
from ece.demo.pictures import FRAMES, HEIGHT, WIDTH, picture
from ece.demo.scenes import PALETTES
from ece.demo.stock import PEOPLE, stock_of
from gateway.identity.tokens import Identity
from gateway.rest.auctions.bodies import NewAuction, terms_of
from gateway.rest.catalog.media import _name

ANN = Identity(7, "ann", frozenset(), 0, "session")
QUIET = Console(quiet=True)


def test_every_card_is_one_that_the_catalog_takes():
    cards = [demo_card(1, place) for place in range(1_000)]
    rows = [card.row() for card in cards]
    assert [row_from_json(msgspec.json.encode(row)) for row in rows] == rows
    assert len({(row.set, row.number) for row in rows}) == len(rows)
    assert len({card.picture for card in cards}) == len(rows)
    assert all(_name.fullmatch(card.picture) for card in cards)
    assert {row.images[0] for row in rows} == {MEDIA_PATH + card.picture for card in cards}
    # Something of everything.
    assert {card.rarity for card in cards} == set(RARITIES)
    assert {card.element for card in cards} == set(ELEMENTS)


def test_sets_of_one_seed_and_of_others_are_not_mixed_up():
    codes = [demo_set(seed, place).code for seed in range(20) for place in range(20)]
    assert len(set(codes)) > 395
    assert len({demo_set(1, place).code for place in range(200)}) == 200
    assert demo_card(1, SET_SIZE - 1).set == demo_card(1, 0).set != demo_card(1, SET_SIZE).set
    assert demo_card(1, 7) == demo_card(1, 7) != demo_card(2, 7)


def test_whatever_a_card_is_of_can_be_drawn():
    assert set(ELEMENTS) == set(PALETTES)
    assert set(CREATURES) == set(DRAWN_BY)
    assert set(RARITIES) == set(FRAMES)


@pytest.mark.parametrize("creature", sorted(CREATURES))
def test_a_picture_is_the_same_each_time_and_shows_something(creature: str):
    place = sorted(CREATURES).index(creature)
    card = msgspec.structs.replace(
        demo_card(1, place),
        creature=creature,
        element=sorted(ELEMENTS)[place % len(ELEMENTS)],
        rarity=sorted(RARITIES)[place % len(RARITIES)],
    )
    drawn = picture(card)
    assert drawn == picture(card)
    image = Image.open(BytesIO(drawn))
    assert (image.format, image.size) == ("WEBP", (WIDTH, HEIGHT))
    assert len(image.resize((60, 84)).getcolors(60 * 84) or ()) > 500


def test_every_lot_is_an_auction_that_can_be_listed_and_nobody_bids_for_their_own():
    stocks = [stock_of(demo_card(1, place)) for place in range(500)]
    lots = [(stock, stock.lot) for stock in stocks if stock.lot is not None]
    assert 150 < len(lots) < 300
    for stock, lot in lots:
        assert stock == stock_of(demo_card(1, stocks.index(stock)))
        terms = terms_of(NewAuction.model_validate(lot.terms(id_text(7))), 9, ANN, 1_000)
        assert terms_fault(terms) is None
        assert stock.owners[0] not in [bidder for bidder, _ in lot.bids]
        assert {bidder for bidder, _ in lot.bids} | set(stock.owners) <= set(PEOPLE)


def test_pictures_that_are_there_are_not_drawn_again(tmp_path: Path):
    cards = [demo_card(1, place) for place in range(5)]
    assert draw(cards[:2], tmp_path / "cards", QUIET) == 2
    kept = tmp_path / "cards" / cards[0].picture
    before = kept.stat().st_mtime_ns
    assert draw(cards, tmp_path / "cards", QUIET) == 3
    assert draw(cards, tmp_path / "cards", QUIET) == 0
    assert kept.stat().st_mtime_ns == before
    assert sorted(file.name for file in (tmp_path / "cards").iterdir()) == sorted(card.picture for card in cards)
