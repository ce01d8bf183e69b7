"""Rotation of the secret that encrypts wallets: a new one comes first, and everything is encrypted again."""

import secrets
from pathlib import Path

from chain.wallets.cipher import key_id_of
from chain.wallets.key_files import WalletSecrets, write_private


def add_secret(path: Path) -> str:
    """Put a new secret before those of the file; returns the id of its key. Raises UnusableKey."""
    known = WalletSecrets(path)()
    new = secrets.token_urlsafe(48)
    write_private(path, "".join(f"{secret}\n" for secret in (new, *known)))
    return key_id_of(new)


def drop_secrets(path: Path) -> int:
    """Leave only the newest secret in the file; returns how many were removed. Raises UnusableKey.

    The caller has made sure that nothing is encrypted with the others.
    """
    newest, *older = WalletSecrets(path)()
    if older:
        write_private(path, f"{newest}\n")
    return len(older)
