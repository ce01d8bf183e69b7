"""Setting the wall clock of one Python process of the engine, which has no hook for it.

Python imports `sitecustomize` from its path at its start, before anything else: with the folder of a `Clocks` on
PYTHONPATH, each process reads its clock with an offset, which stands in a file of that folder named by its process id.
"""

import shutil
from pathlib import Path

OFFSET_BYTES = 8
_CODE = Path(__file__).parent / "clock_offset" / "sitecustomize.py"


class Clocks:
    """The wall clocks of the processes that are started with this `environment`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        shutil.copy(_CODE, folder)

    @property
    def environment(self) -> dict[str, str]:
        """What the engine has to be started with."""
        return {"PYTHONPATH": str(self._folder)}

    def set_ahead(self, pid: int, seconds: float) -> bool:
        """Set the clock of this process by so many seconds from the machine's; False where it can't be set."""
        try:
            with (self._folder / str(pid)).open("r+b") as file:
                file.write(round(seconds * 1e9).to_bytes(OFFSET_BYTES, "little", signed=True))
        except OSError:
            return False
        return True
