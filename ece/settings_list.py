"""Every setting with its value and where that comes from: for `ece doctor` and the tables of docs/operations.md."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, cast

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from ece.setting_fields import PREFIX, Group
from ece.settings import GROUPS, Settings


@dataclass(frozen=True)
class ListedSetting:
    """`value` never shows a secret: it is `set` or `not set`. `default` is as docs/operations.md has it."""

    group: str
    variable: str
    value: str
    source: Literal["environment", "default"]
    default: str
    unit: str
    meaning: str


def title_of(group: type[Group]) -> str:
    """What a group is called."""
    return group.__doc__ or ""


def settings_list(settings: Settings) -> Iterator[ListedSetting]:
    """Group by group, in the order of the documentation."""
    for group in GROUPS:
        for name in group.__annotations__:
            field = Settings.model_fields[name]
            more = cast(dict[str, str], field.json_schema_extra)
            default = more["by_default"] or str(field.default)
            yield ListedSetting(
                title_of(group),
                PREFIX + name.upper(),
                _shown(field, getattr(settings, name), default),
                "environment" if name in settings.model_fields_set else "default",
                default,
                more["unit"],
                field.description or "",
            )


def _shown(field: FieldInfo, value: Any, default: str) -> str:
    if field.annotation == SecretStr | None:
        return "not set" if value is None else "set"
    return default if value is None else str(value)
