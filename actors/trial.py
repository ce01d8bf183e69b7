"""Deciding before it is sure: while the ledger is asked, a batch is staged as if everybody could pay.

Nearly always they can. Where somebody can't, all of it is taken back, and the batch is staged again without them.
"""

from collections.abc import Iterable

from actors.batch import Batch
from actors.keeper import Keeper


class Trial:
    """From here on what these keepers stage into the batch can be taken back, until it is kept."""

    def __init__(self, batch: Batch, keepers: Iterable[Keeper]) -> None:
        self._batch = batch
        self._rows, self._answers, self._doubtful = len(batch.rows), len(batch.answers), len(batch.doubtful)
        self._touched = {keeper: len(staged) for keeper, staged in batch.touched.items()}
        self._keepers = list(dict.fromkeys(keepers))
        for keeper in self._keepers:
            keeper.begin_trial()

    def keep(self) -> None:
        """It stands."""
        for keeper in self._keepers:
            keeper.end_trial()

    def take_back(self) -> None:
        """Batch and keepers are as they were, and another trial has begun."""
        batch = self._batch
        del batch.rows[self._rows :], batch.answers[self._answers :], batch.doubtful[self._doubtful :]
        for keeper in list(batch.touched):
            if keeper in self._touched:
                del batch.touched[keeper][self._touched[keeper] :]
            else:
                del batch.touched[keeper]
        for keeper in self._keepers:
            keeper.take_back()
