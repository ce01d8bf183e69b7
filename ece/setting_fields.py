"""What groups of settings are made of."""

from typing import Any

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX = "ECE_"


def setting(default: object, meaning: str, unit: str = "", *, by_default: str = "", **bounds: Any) -> Any:
    """A field. `by_default` says in words what a default of None means."""
    return Field(
        default=default,
        description=meaning,
        json_schema_extra={"unit": unit, "by_default": by_default},
        **bounds,
    )


class Group(BaseSettings):
    """Settings of one part of the engine. The docstring of a group is its title."""

    # An empty variable counts as not set.
    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore", env_ignore_empty=True)
