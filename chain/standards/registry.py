"""Standards by name."""

from chain.standards.metaplex import MetaplexStandard
from chain.standards.standard import Standard
from chain.standards.token_2022 import Token2022

DEFAULT = Token2022.name
# To read and to move assets; some need a secret to create them.
STANDARDS: dict[str, Standard] = {one.name: one for one in (Token2022(), MetaplexStandard())}
# Those that can create assets without a secret.
WITHOUT_SECRET: dict[str, Standard] = {DEFAULT: STANDARDS[DEFAULT]}


def minting_standards(metaplex_secret: bytes) -> dict[str, Standard]:
    """Standards that can create assets, too."""
    return WITHOUT_SECRET | {MetaplexStandard.name: MetaplexStandard(metaplex_secret)}
