"""The keys of a local chain: its faucet, and the mint of its USDC. They are made once, and kept beside its state."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from solders.keypair import Keypair

from chain.local.errors import StartFailed

FILE = "keys.json"


@dataclass(frozen=True, slots=True, repr=False)
class LocalKeys:
    """`faucet` holds the SOL that airdrops hand out; `usdc_authority` mints USDC, whose mint is `usdc_mint`."""

    faucet: Keypair
    usdc_authority: Keypair
    usdc_mint: Keypair


def local_keys(directory: Path) -> LocalKeys:
    """The keys in a directory, made at the first call. Raises StartFailed for a damaged file, OSError."""
    path = directory / FILE
    try:
        return _read(path)
    except FileNotFoundError:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(path, LocalKeys(Keypair(), Keypair(), Keypair()))
    return _read(path)


def _read(path: Path) -> LocalKeys:
    text = path.read_text()
    try:
        seeds = json.loads(text)
        names = LocalKeys.__dataclass_fields__
        return LocalKeys(**{name: Keypair.from_seed(bytes.fromhex(seeds[name])) for name in names})
    except (ValueError, KeyError, TypeError) as error:
        raise StartFailed(f"{path} is damaged: restore it, or remove the directory to begin a new chain") from error


def _write(path: Path, keys: LocalKeys) -> None:
    """The whole file or nothing, readable by its owner only; who comes second keeps the first one's."""
    seeds = {name: getattr(keys, name).secret().hex() for name in LocalKeys.__dataclass_fields__}
    temporary = path.with_suffix(f".{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as handle:
        json.dump(seeds, handle)
        handle.flush()
        os.fsync(handle.fileno())
    try:
        path.hardlink_to(temporary)
    except FileExistsError:
        pass
    finally:
        temporary.unlink()
