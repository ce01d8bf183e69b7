"""The keys of the platform, each with one purpose.

``authority`` mints and updates what the engine makes, ``vault`` holds listed cards, ``treasury`` holds the money of
users, and each minting actor pays fees from a fee payer of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from solders.keypair import Keypair
from solders.pubkey import Pubkey

from chain.signing import LocalSigner, Signer
from chain.wallets.key_files import UnusableKey, keypair_in
from chain.wallets.remote_signer import RemoteSigner

FEE_PAYERS_MAX = 64


@dataclass(frozen=True)
class KeySources:
    """Where the keys come from. A source is a secret key in base58, or the URL of a remote signer with the address.

    ``https://signer.example/sign#ADDRESS`` is such a URL. A key without a source is a file in ``directory``, made at
    the first use.
    """

    directory: Path
    authority: str | None = field(default=None, repr=False)
    vault: str | None = field(default=None, repr=False)
    treasury: str | None = field(default=None, repr=False)
    fee_payers: Sequence[str] = field(default=(), repr=False)
    signer_token: str | None = field(default=None, repr=False)


class PlatformKeys:
    """The signers of the platform. Making it, and ``fee_payer``, may raise UnusableKey."""

    def __init__(self, sources: KeySources) -> None:
        self._sources = sources
        self._fee_payers: dict[int, Signer] = {}
        self.authority = self._signer("authority", sources.authority)
        self.vault = self._signer("vault", sources.vault)
        self.treasury = self._signer("treasury", sources.treasury)
        addresses = {signer.address for signer in (self.authority, self.vault, self.treasury)}
        if len(addresses) < 3:
            raise UnusableKey("authority, vault and treasury must be three different keys")

    def fee_payer(self, index: int) -> Signer:
        """The signer that pays the fees of minting actor ``index``, for each its own."""
        if not 0 <= index < FEE_PAYERS_MAX:
            raise ValueError(f"there are at most {FEE_PAYERS_MAX} fee payers")
        if index not in self._fee_payers:
            given = self._sources.fee_payers
            if given and index >= len(given):
                raise UnusableKey(f"there is no fee payer {index}: ECE_CHAIN_FEE_PAYERS has {len(given)}")
            source = given[index] if given else None
            self._fee_payers[index] = self._signer(f"fee-payer-{index}", source)
        return self._fee_payers[index]

    def known_fee_payers(self) -> list[Signer]:
        """The fee payers that there are: those of the settings, or those that have a file."""
        directory = self._sources.directory
        count = len(self._sources.fee_payers)
        indexes = (
            range(count)
            if count
            else [index for index in range(FEE_PAYERS_MAX) if (directory / f"fee-payer-{index}.json").exists()]
        )
        return [self.fee_payer(index) for index in indexes]

    def addresses(self) -> dict[str, Pubkey]:
        """The address of each key by name; of fee payers those that were used here."""
        named = {"authority": self.authority, "vault": self.vault, "treasury": self.treasury}
        named |= {f"fee-payer-{index}": signer for index, signer in sorted(self._fee_payers.items())}
        return {name: signer.address for name, signer in named.items()}

    def _signer(self, name: str, source: str | None) -> Signer:
        if source is None:
            return LocalSigner(keypair_in(self._sources.directory / f"{name}.json"))
        return signer_from(name, source, self._sources.signer_token)

    def __repr__(self) -> str:
        return f"PlatformKeys({', '.join(f'{name}={address}' for name, address in self.addresses().items())})"


def signer_from(name: str, source: str, token: str | None) -> Signer:
    """The signer of a source: a secret key, or a URL with the address as its fragment. Raises UnusableKey."""
    if "://" not in source:
        try:
            return LocalSigner(Keypair.from_base58_string(source))
        except ValueError:
            raise UnusableKey(f"the {name} key is neither a secret key in base58 nor the URL of a signer") from None
    try:
        url = urlsplit(source)
        address = Pubkey.from_string(url.fragment)
    except ValueError:
        raise UnusableKey(f"the URL of the signer of the {name} key does not end with #ADDRESS") from None
    if url.scheme not in ("http", "https") or not url.hostname:
        raise UnusableKey(f"the signer of the {name} key needs a URL with http:// or https://")
    return RemoteSigner(url._replace(fragment="").geturl(), address, token)
