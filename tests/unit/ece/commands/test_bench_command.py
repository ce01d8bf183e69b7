"""The runner of the benches: commands from the table, values, output and errors."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from bench.definition import Bench, BenchFailed, Context, Option, Report, Table
from bench.registry import BENCHES
from ece.commands.bench import command
from ece.failure import Failure

SIZE = Option(("--size",), int, 3, "ROWS", "How many rows.", minimum=1, maximum=9)
ONLY = Option[Sequence[str]](("--only",), list[str], [], "COLOUR", "Only this one.", choices=("red", "green", "blue"))
WHERE = Option[Path | None](("--where", "--there"), Path | None, None, "DIR", "A directory.")


async def run_colours(context: Context) -> Report:
    context.progress("counting")
    if context.value(SIZE) == 9:
        raise BenchFailed("nine is too many")
    colours, where = context.value(ONLY), context.value(WHERE)
    figures = {"size": context.value(SIZE), "only": colours, "where": where and str(where)}
    return Report(figures, [Table("Colours", ("colour", "size"), [(colour, "1") for colour in colours]), "A note."])


COLOURS = Bench(
    "colours", "Count colours.", "First line\nand its second.\n\nAnother.", (SIZE, ONLY, WHERE), run_colours
)


@pytest.fixture(autouse=True)
def own_app(monkeypatch: pytest.MonkeyPatch) -> None:
    app = typer.Typer()
    app.callback()(lambda: None)
    monkeypatch.setattr(command, "app", app)
    monkeypatch.setenv("COLUMNS", "100")
    command.add_command(COLOURS)


def figures(*arguments: str) -> dict[str, object]:
    done = CliRunner().invoke(command.app, ["colours", *arguments, "--json"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert done.stderr == "bench: counting\n"
    shown: dict[str, object] = json.loads(done.stdout)
    return shown


def test_the_figures_are_one_json_object_with_the_name_of_the_bench_and_the_defaults_of_its_options():
    expected = {"bench": "colours", "size": 3, "only": ["red", "green", "blue"], "where": None}
    assert figures() == expected


def test_values_come_from_the_command_line_and_choices_in_their_own_order():
    assert figures("--size", "5", "--only", "blue", "--only", "red", "--there", "x") == {
        "bench": "colours", "size": 5, "only": ["red", "blue"], "where": "x",
    }  # fmt: skip


def test_a_terminal_gets_tables_and_notes():
    done = CliRunner().invoke(command.app, ["colours", "--only", "green"])
    assert [line.split() for line in done.stdout.splitlines() if line.split()[:1] in (["green"], ["A"])] == [
        ["green", "1"], ["A", "note."],
    ]  # fmt: skip


def test_what_is_no_choice_is_refused_before_the_bench_runs():
    with pytest.raises(Failure, match=r"--only pink: there is no such colour\. Colours are red, green, blue\."):
        CliRunner().invoke(command.app, ["colours", "--only", "pink"], catch_exceptions=False)


def test_a_value_out_of_bounds_is_wrong_usage():
    assert CliRunner().invoke(command.app, ["colours", "--size", "10"]).exit_code == 2


def test_a_bench_that_fails_says_why():
    with pytest.raises(Failure, match="The bench stopped: nine is too many"):
        CliRunner().invoke(command.app, ["colours", "--size", "9"], catch_exceptions=False)


def test_the_help_has_its_texts_as_paragraphs_and_the_options_with_units_bounds_and_defaults():
    text = CliRunner().invoke(command.app, ["colours", "--help"]).stdout
    for part in ("Count colours.", "First line and its second.", "ROWS [1<=x<=9]", "[default: 3]", "--where", "--json"):
        assert part in text


def test_every_bench_has_a_name_a_sentence_and_options_of_its_own():
    assert len({bench.name for bench in BENCHES}) == len(BENCHES)
    for bench in BENCHES:
        assert bench.summary.endswith("."), bench.name
        assert bench.help, bench.name
        assert len({option.name for option in bench.options}) == len(bench.options), bench.name


def test_every_bench_of_the_measures_is_in_the_table():
    measures = Path(__file__).parents[4] / "bench" / "measures"
    registered = {bench.run.__module__ for bench in BENCHES if hasattr(bench.run, "__module__")}
    with_a_bench = {f"bench.measures.{path.stem}" for path in measures.glob("*.py") if "= Bench(" in path.read_text()}
    assert with_a_bench <= registered
