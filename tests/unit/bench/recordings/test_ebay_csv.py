"""Reading the eBay file: strict by row, patient with the file as a whole."""

from decimal import Decimal
from pathlib import Path

import pytest

from bench.recordings.ebay import read_auctions
from bench.recordings.model import BrokenRow, Dataset, RecordedAuction, RecordedBid, UnusableRecording

HEADER = "auctionid,bid,bidtime,bidder,bidderrate,openbid,price,item,auction_type"
GOOD = "77,10.5,1.25,ann,0,9.99,12,Watch,3 day auction"
USD = 1_000_000


@pytest.fixture
def read(tmp_path: Path):
    def reader(*lines: str, encoding: str = "utf-8", newline: str = "\n") -> Dataset:
        file = tmp_path / "auctions.csv"
        file.write_bytes(newline.join(lines).encode(encoding))
        return read_auctions(file)

    return reader


def row(**changed: str) -> str:
    """GOOD with some columns changed."""
    cells = dict(zip(HEADER.split(","), GOOD.split(","), strict=True)) | changed
    return ",".join(cells.values())


def test_a_row_becomes_exact_base_units(read):
    assert read(HEADER, GOOD) == Dataset(
        (RecordedAuction("77", "Watch", 9_990_000, 12 * USD, (RecordedBid("ann", 10_500_000, Decimal("1.25")),)),), ()
    )


def test_bids_are_grouped_by_auction_and_put_in_time_order_and_equal_times_keep_the_files_order(read):
    dataset = read(
        HEADER,
        row(bidder="late", bidtime="2.5"),
        row(auctionid="88", bidder="other"),
        row(bidder="first", bidtime="0.5"),
        row(bidder="second", bidtime="0.50"),
    )
    assert [[bid.bidder for bid in auction.bids] for auction in dataset.auctions] == [
        ["first", "second", "late"],
        ["other"],
    ]


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_byte_order_mark_and_any_line_ends_make_no_difference(read, newline, encoding):
    assert read(HEADER, GOOD, encoding=encoding, newline=newline) == read(HEADER, GOOD)


def test_columns_are_found_by_name_in_any_order_and_others_are_left_alone(read):
    dataset = read("Item, price ,extra,openbid,bidder,bidtime,bid,auctionid", "Watch,12,?,9.99,ann,1.25,10.5,77")
    assert dataset == read(HEADER, GOOD)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"bid": "ten"}, "bid is not a number: 'ten'"),
        ({"bid": "-5"}, "bid is negative: '-5'"),
        ({"bid": "-0"}, "bid is negative: '-0'"),
        ({"bid": "0"}, "bid is zero"),
        ({"bid": "nan"}, "bid is not a number: 'nan'"),
        ({"bid": "inf"}, "bid is not a number: 'inf'"),
        ({"bid": "1_000"}, "bid is not a number: '1_000'"),
        ({"bid": "٣"}, "bid is not a number: '٣'"),
        ({"bid": ""}, "bid is empty"),
        ({"bid": "1e12"}, "bid is too large: '1e12'"),
        ({"bid": "1e99"}, "bid is too large: '1e99'"),
        ({"bid": "1000000000"}, "bid is too large: '1000000000'"),
        ({"bid": "9" * 400}, f"bid has too many digits: '{'9' * 21}...'"),
        ({"bid": "1." + "0" * 30 + "1"}, f"bid has too many digits: '1.{'0' * 19}...'"),
        ({"bid": "1.0000001"}, "bid has more than 6 decimals: '1.0000001'"),
        ({"bid": "1e-9"}, "bid has more than 6 decimals: '1e-9'"),
        ({"bidtime": "soon"}, "bidtime is not a number: 'soon'"),
        ({"bidtime": "-0.1"}, "bidtime is negative: '-0.1'"),
        ({"bidtime": "9999"}, "bidtime is past 366 days: '9999'"),
        ({"openbid": "0"}, "openbid is zero"),
        ({"price": "free"}, "price is not a number: 'free'"),
        ({"bidder": ""}, "bidder is empty"),
        ({"bidder": "b" * 201}, "bidder is longer than 200 characters"),
        ({"auctionid": "7\x007"}, "auctionid has characters that can't be printed"),
        ({"item": '"open'}, "unexpected end of data"),
        ({"item": "x" * 10_000}, "longer than 10000 characters"),
    ],
)
def test_a_broken_row_is_named_and_only_that_row_is_skipped(read, changed, reason):
    dataset = read(HEADER, GOOD, row(**changed), row(bidder="bob"))
    assert dataset.broken == (BrokenRow(3, reason),)
    assert [bid.bidder for bid in dataset.auctions[0].bids] == ["ann", "bob"]


def test_the_largest_amount_and_the_smallest_are_exact(read):
    dataset = read(HEADER, row(bid="999999999.999999", price="0.000001", openbid="1e-6"))
    auction = dataset.auctions[0]
    assert (auction.top_bid, auction.closing_price, auction.starting_price) == (999_999_999_999_999, 1, 1)


def test_a_row_with_too_few_columns_is_skipped(read):
    assert read(HEADER, GOOD, "77,10.5,1.25").broken == (BrokenRow(3, "has 3 columns, needs 8"),)


def test_a_row_that_is_there_twice_counts_once(read):
    dataset = read(HEADER, GOOD, row(bid="10.50"), row(bidder="bob"))
    assert dataset.broken == (BrokenRow(3, "the same as line 2"),)
    assert dataset.bids == 2


def test_empty_lines_are_no_rows_but_count_as_lines(read):
    assert read(HEADER, "", GOOD, "  ", row(bid="x")).broken == (BrokenRow(5, "bid is not a number: 'x'"),)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ((), "auctions.csv is empty: it needs a header with the columns auctionid, bid, bidtime"),
        (("", GOOD), "auctions.csv is empty: it needs"),
        (("name,age", "ann,7"), "it lacks auctionid, bid, bidtime, bidder, openbid, price, item: it needs"),
        ((GOOD,), "is not the eBay auctions file, it lacks"),
        ((HEADER.replace(",", ";"), GOOD), "it lacks auctionid"),
        (('"',), "is not the eBay auctions file"),
        ((HEADER,), "holds no usable bid"),
        ((HEADER, row(bid="x")), "holds no usable bid; line 2: bid is not a number: 'x'"),
    ],
)
def test_a_file_that_is_not_this_is_refused_and_told_what_it_needs(read, lines, message):
    with pytest.raises(UnusableRecording) as refused:
        read(*lines)
    assert message in str(refused.value)


@pytest.mark.parametrize("content", [b"\x00\xff\xfe" * 50_000, bytes(range(256)) * 10])
def test_bytes_that_are_no_text_are_refused(tmp_path, content):
    file = tmp_path / "picture.csv"
    file.write_bytes(content)
    with pytest.raises(UnusableRecording):
        read_auctions(file)


def test_rows_that_disagree_on_the_closing_price_are_marked(read):
    assert read(HEADER, GOOD, row(price="13", bidder="bob")).auctions[0].prices_disagree
    assert not read(HEADER, GOOD).auctions[0].prices_disagree
