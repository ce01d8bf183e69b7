"""What was measured of one node: the constants of the model, and results that the simulation has to agree with."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from bench.scale.constants import Constants

FILE = Path(__file__).with_name("measured.json")


class NotMeasured(Exception):
    """A file of figures lacks something that the model needs."""


class Measured(msgspec.Struct, frozen=True):
    """The JSON of `ece bench capacity`."""

    kinds: Mapping[str, Any]
    costs: Mapping[str, float]
    machine: Mapping[str, Any]

    @property
    def constants(self) -> Constants:
        """The costs as constants. Raises NotMeasured."""
        try:
            return msgspec.convert(self.costs, Constants, strict=False)
        except msgspec.ValidationError as error:
            raise NotMeasured(f"measure all kinds: {error}") from None

    def held(self, kind: str) -> dict[str, Any]:
        """The last step of this kind at its capacity. Raises NotMeasured."""
        steps = self.kinds.get(kind, {}).get("steps", [])
        held: list[dict[str, Any]] = [step for step in steps if step["verdict"] == "held"]
        if not held:
            raise NotMeasured(f"no size held: {kind}")
        return max(held, key=lambda step: step["size"])


def read(file: Path = FILE) -> Measured:
    """The figures of this file. Raises NotMeasured or OSError."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=Measured)
    except msgspec.MsgspecError as error:
        raise NotMeasured(f"{file}: {error}") from None
