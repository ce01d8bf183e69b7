"""`ece catalog import` with files of every kind, on the real PostgreSQL."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ece import cli
from ece.failure import Failure
from persistence.catalog.files import LINE_BYTES_MAX, FileBroken, catalog_file
from persistence.catalog.importing import FINDINGS_MAX, Imported, import_rows
from persistence.catalog.writing import CatalogWriting
from persistence.postgres.pool import Pool

GOOD = {"set": "imported", "number": "1", "name": "Charizard", "rarity": "rare"}
CSV = b"set,number,name,rarity\n"


def card(**changes: Any) -> bytes:
    return json.dumps(GOOD | changes).encode()


def written(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("name", "content", "bad"),
    [
        ("a.jsonl", b'{"set": \n' + card(), {1: "malformed|truncated|unexpected"}),
        ("a.jsonl", card() + b"\n" + card(number="2", edition=1.0), {2: "int"}),
        ("a.jsonl", card(edition=-1) + b"\n" + card(), {1: "edition"}),
        ("a.jsonl", card(colour="red") + b"\n" + card(), {1: "colour"}),
        ("a.jsonl", b'{"set": "imported"}\n' + card(), {1: "number"}),
        ("a.jsonl", card() + b"\n\n" + card(), {3: "before"}),
        ("a.jsonl", card().replace(b"Char", b"\xff\xfe") + b"\n" + card(), {1: "UTF-8|utf-8"}),
        ("a.jsonl", card(description="x" * LINE_BYTES_MAX) + b"\n" + card(), {1: "longer"}),
        ("a.jsonl", b"\xef\xbb\xbf" + card(), {}),
        ("a.json", b"[\n" + card() + b",\n" + card(number=2) + b",\n3]", {3: "number", 4: "object"}),
        ("a.csv", CSV + b"imported,1,Charizard,rare\nimported,2,x\n", {3: "cells"}),
        ("a.csv", CSV + b"imported,1,Charizard,rare\nimported,2,\x81,rare\n", {3: "UTF-8"}),
        ("a.csv", CSV + b'imported,1,Charizard,rare\nimported,2,"x,rare\n', {3: "not closed"}),
        ("a.csv", CSV + b"imported,1,Charizard,rare\nimported,2,Pika\x1b[31mchu,rare\n", {3: "U+001B"}),
        ("a.jsonl", card() + b"\n" + card(number=" 1") + b"\n" + card(number="\u200b"), {2: "before", 3: "number"}),
        ("a.csv", CSV + b'imported,1,"Chari\nzard",rare\nimported,1,x,rare\n', {4: "before"}),
        ("a.csv", CSV + b"imported,1,Charizard,rare\n" + b"x" * (LINE_BYTES_MAX + 1), {3: "longer"}),
    ],
)
async def test_a_bad_row_is_named_and_the_others_are_in(
    pool: Pool, tmp_path: Path, name: str, content: bytes, bad: dict[int, str]
):
    await pool.execute("DELETE FROM cards")
    with catalog_file(written(tmp_path, name, content)) as rows:
        report = await import_rows(rows, CatalogWriting(pool), 1)
    assert [line for line, _ in report.findings] == list(bad)
    for (_, why), words in zip(report.findings, bad.values(), strict=True):
        assert any(word in why for word in words.split("|")), why
    assert (report.bad, report.created) == (len(bad), 1)
    assert await pool.fetchval("SELECT count(*) FROM cards") == 1


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("a.jsonl", b"", "empty"), ("a.json", b" \n ", "empty"), ("a.json", b"[]", "empty"),
        ("a.json", b"[" + card(), "broken JSON"), ("a.csv", b"set,number,name\n", "rarity"),
        ("a.csv", b"set,number,name,rarity,colour\n", "colour"), ("a.csv", b"set,set,number,name,rarity\n", "twice"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_catalog_says_why(tmp_path: Path, name: str, content: bytes, why: str):
    with pytest.raises(FileBroken, match=why), catalog_file(written(tmp_path, name, content)) as rows:
        list(rows)


async def test_an_import_that_is_done_again_changes_nothing(pool: Pool, tmp_path: Path):
    lines = b"\n".join(card(set="twice", number=str(n)) for n in range(12_000))
    path = written(tmp_path, "a.jsonl", lines)
    with catalog_file(path) as lines_read:
        first = await import_rows(lines_read, CatalogWriting(pool), 1)
    assert first == Imported(12_000, 0, 12_000, 0, 0)
    rows = await pool.fetch("SELECT * FROM cards ORDER BY card_id")
    with catalog_file(path) as read_again:
        assert await import_rows(read_again, CatalogWriting(pool), 2) == Imported(12_000, 0, 0, 0, 12_000)
    assert await pool.fetch("SELECT * FROM cards ORDER BY card_id") == rows


async def test_of_very_many_bad_rows_only_the_first_are_kept_and_all_are_told(tmp_path: Path):
    path, told = written(tmp_path, "a.jsonl", b"{}\n" * 1_000), []
    with catalog_file(path) as rows:
        report = await import_rows(rows, None, 1, report_bad=lambda line, why: told.append(line))
    assert (report.bad, len(report.findings), told) == (1_000, FINDINGS_MAX, list(range(1, 1_001)))


def test_the_command_names_bad_rows_and_ends_with_1(tmp_path: Path, monkeypatch, database_url: str):
    monkeypatch.setenv("ECE_DATABASE_URL", database_url)
    monkeypatch.setenv("ECE_DATA_DIR", str(tmp_path / "data"))
    path = written(tmp_path, "a.jsonl", card(set="command") + b"\n" + card(set="command", number=7))
    all_bad = tmp_path / "bad.jsonl"
    dry = CliRunner().invoke(cli.app, ["catalog", "import", str(path), "--dry-run"])
    assert (dry.exit_code, "looked at only" in dry.output) == (1, True)
    told = CliRunner().invoke(cli.app, ["catalog", "import", str(path), "--report", str(all_bad)])
    assert told.exit_code == 1
    assert "1 new, 0 changed, 0 the same; 1 bad" in told.output
    assert [json.loads(line)["line"] for line in all_bad.read_text().splitlines()] == [2]
    empty = CliRunner().invoke(cli.app, ["catalog", "import", str(written(tmp_path, "e.jsonl", b""))])
    assert isinstance(empty.exception, Failure)


async def test_a_collection_adds_cards_and_leaves_those_that_are_there(pool: Pool, tmp_path: Path):
    await pool.execute("DELETE FROM cards")
    full = card(set="pok", set_name="Peaks", number="263", name="Sun Anvil", rarity="mythic", description="Heavy.")
    with catalog_file(written(tmp_path, "full.jsonl", full + b"\n" + card(set="ppok", number="1"))) as rows:
        await import_rows(rows, CatalogWriting(pool), 1)
    names = {"pok": "Peaks", "ppok": "ppok", "suc": "Sunken Court"}
    collection = written(
        tmp_path,
        "manabox.csv",
        b"Name,Set code,Set name,Collector number,Foil,Rarity,Quantity,ManaBox ID\n"
        b"Sun Anvil,POK,Peaks of Kindling,263,normal,uncommon,1,1\n"
        b"Lantern Thief // Borrowed Light,SUC,Sunken Court,39,normal,rare,1,2\n"
        b"Lantern Thief // Borrowed Light,SUC,Sunken Court,39,foil,rare,4,2\n"
        b"Lantern Thief,SUC,Sunken Court,39,foil,rare,4,2\n",
    )
    for created, same in ((1, 1), (0, 2)):
        with catalog_file(collection) as rows:
            report = await import_rows(rows, CatalogWriting(pool), 2, collection=True)
        why = "this set and number stand in the file before, with another name or rarity"
        assert report == Imported(4, 1, created, 0, same, repeated=1, findings=[(5, why)])
        assert {row["code"]: row["name"] for row in await pool.fetch("SELECT code, name FROM card_sets")}.items() >= (
            names.items()
        )
        assert await pool.fetch("SELECT name, rarity, description FROM cards WHERE number <> '1' ORDER BY number") == [
            ("Sun Anvil", "mythic", "Heavy."), ("Lantern Thief // Borrowed Light", "rare", "")
        ]  # fmt: skip


def test_a_dry_run_shows_what_was_read_as_what_and_the_first_cards(tmp_path: Path):
    path = written(
        tmp_path, "list.csv", "Serie;Nr;Titel;Wert;Preis\nBasis – 1;4;Glurak;Rare;5 €\n;;;;\nBasis;5;\n".encode()
    )
    mapped = ["--map", "set=serie", "--map", "number=Nr", "--map", "name=Titel", "--map", "rarity= Wert"]
    told = CliRunner().invoke(cli.app, ["catalog", "import", str(path), "--dry-run", *mapped], env={"COLUMNS": "80"})
    assert told.exit_code == 1
    shown = [" ".join(line.split()) for line in told.stdout.splitlines()]
    assert shown[:5] == [
        "Read as an ECE catalog, UTF-8, separated by semicolons.",
        "taken set ← Serie · number ← Nr · name ← Titel · rarity ← Wert",
        "not taken Preis",
        "Line Set Number Rarity Name More",
        "2 basis-1 4 Rare Glurak Basis – 1",
    ]
    assert shown[6:] == ["Line Why it is no card", "4 3 cells where the header has 5"]
    assert "2 rows in" in shown[5]
    assert "1 good, looked at only; 1 bad." in shown[5]


def test_lines_that_were_repaired_or_repeat_a_card_are_told_of(tmp_path: Path):
    content = 'cardname,cardq,cardrarity,cardset,cardcode\n"A "b"",1,Rare,Kind,K-1\n"A "b"",2,Rare,Kind,K-1\n'
    path = written(tmp_path, "ygo.csv", content.encode())
    told = CliRunner().invoke(cli.app, ["catalog", "import", str(path), "--dry-run"])
    assert told.exit_code == 0
    assert "Read as YGOPRODeck" in told.stdout
    assert "Quotes that should have been doubled were read as they are in lines 2, 3." in told.stdout
    assert "1 good, looked at only; 1 more of the same cards; 0 bad." in told.stdout


@pytest.mark.parametrize(
    "wrong",
    [
        ["--map", "colour=Farbe"], ["--map", "name"], ["--map", "name="], ["--map", "trait:=x"], ["--format", "excel"],
        ["--encoding", "utf-99"], ["--encoding", "base64"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_an_option_that_can_not_be_is_refused_before_anything_is_read(tmp_path: Path, wrong: list[str]):
    path = written(tmp_path, "a.csv", CSV)
    assert CliRunner().invoke(cli.app, ["catalog", "import", str(path), "--dry-run", *wrong]).exit_code == 2
