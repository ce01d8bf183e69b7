"""The errors of stores: one tree of classes, each with the stable code that clients get."""


class StoreError(Exception):
    """A store could not do its work."""

    code = "unavailable"


class StoreUnavailable(StoreError):
    """The database did not answer, or not in time. Whether the write happened is unknown."""


class TextNotStorable(StoreError):
    """Text has a character that no text of the database can have, such as U+0000: nothing was done."""

    code = "invalid_request"


class StoreReadOnly(StoreUnavailable):
    """The database answers, but takes no writes: its disk is nearly full, or it is a standby."""


class StaleSequence(StoreError):
    """Another writer appended first: nothing of the batch was written. Reload and decide again."""


class KeyTaken(StoreError):
    """A command key of the batch is in the log already: nothing of the batch was written. Look the keys up."""


class MigrationError(StoreError):
    """The database's schema does not match this program."""

    code = "migration_failed"
