"""The measures of time on the chain."""

SLOT_MS = 400
# A blockhash can be used in this many blocks after its own.
BLOCKHASH_AGE_MAX = 150
FINALIZED_AFTER_SLOTS = 32
SLOTS_PER_EPOCH = 432_000
