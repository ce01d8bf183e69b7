"""Where a minted copy belongs on the chain. Migrations 0023 and 0029 have the same rule, for the jobs that move it."""

WITH_VAULT = "vault"
WITH_OWNER = "owner"
OUTSIDE = "outside"

NOBODY = 0
"""The owner of a copy that somebody without an account here has."""


def belongs(place: str, owner: int) -> str:
    """``vault`` while it is listed, ``owner`` for the wallet of its owner, ``outside`` out of custody.

    In a trade it stays in the wallet of its owner, whose key the engine has, until one transaction moves all copies.
    """
    if place == "listed":
        return WITH_VAULT
    return OUTSIDE if place == "withdrawn" or owner == NOBODY else WITH_OWNER
