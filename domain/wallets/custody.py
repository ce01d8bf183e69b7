"""A custodial wallet as it is stored."""

import msgspec


class CustodialWallet(msgspec.Struct, frozen=True):
    """The wallet of one user. ``address`` is base58; ``sealed`` is the encrypted seed, ``key_id`` what opens it."""

    user: int
    address: str
    key_id: str
    sealed: bytes

    def __repr__(self) -> str:
        return f"CustodialWallet(user={self.user}, address={self.address}, key_id={self.key_id})"
