"""The settings as `ece doctor` shows them: a table on a wide terminal, two lines a setting on a narrow one."""

from collections.abc import Sequence
from itertools import groupby

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ece.settings_list import ListedSetting

# A table with less room than this would break the meaning into single words.
TABLE_WIDTH_MIN = 110
VALUE_WIDTH_MAX = 26
MEANING_PADDING = (0, 0, 0, 6)


def print_settings(out: Console, settings: Sequence[ListedSetting]) -> None:
    """All of them, group by group. What the environment sets is bold."""
    show = _print_table if out.width >= TABLE_WIDTH_MIN else _print_lines
    show(out, settings)


def _print_table(out: Console, settings: Sequence[ListedSetting]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("setting", no_wrap=True)
    table.add_column("value", max_width=VALUE_WIDTH_MAX, overflow="fold")
    table.add_column("from", no_wrap=True)
    table.add_column("meaning", overflow="fold")
    for title, group in groupby(settings, lambda one: one.group):
        table.add_row(Text(title, style="bold cyan"))
        for one in group:
            table.add_row(*map(Text, ("  " + one.variable, _value(one), one.source, _meaning(one))), style=_style(one))
        table.add_row()
    out.print(table)


def _print_lines(out: Console, settings: Sequence[ListedSetting]) -> None:
    for title, group in groupby(settings, lambda one: one.group):
        out.print(Text(title, style="bold cyan"))
        for one in group:
            out.print(Text(f"  {one.variable}: {_value(one)} ({one.source})", style=_style(one)), soft_wrap=True)
            out.print(Padding(Text(_meaning(one), style="dim"), MEANING_PADDING))
        out.print()


def _value(one: ListedSetting) -> str:
    return f"{one.value} {one.unit}".replace("`", "").rstrip()


def _meaning(one: ListedSetting) -> str:
    return one.meaning.replace("`", "")


def _style(one: ListedSetting) -> str:
    return "bold" if one.source == "environment" else ""
