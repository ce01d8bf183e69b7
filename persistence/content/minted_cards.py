"""Copies of cards as their metadata describe them."""

from collections.abc import Sequence

import asyncpg
import msgspec

from domain.minting.cards import MintedCard
from persistence.postgres.guard import guarded

_CARDS = """
    SELECT c.copy_id, k.name, s.code, s.name, k.number, k.rarity, c.serial, k.description, k.traits::text, k.edition,
        c.grader, c.grade, k.images, k.model_3d,
        (SELECT coalesce(sum((payee ->> 1)::int), 0)::int FROM jsonb_array_elements(k.royalty) AS payee)
    FROM copies c JOIN cards k ON k.card_id = c.card_id JOIN card_sets s ON s.set_id = k.set_id
    WHERE c.copy_id = ANY($1::bigint[])
"""


async def minted_cards(pool: asyncpg.Pool, copies: Sequence[int]) -> dict[int, MintedCard]:
    """Those of these copies that exist. Their royalties are the sum of the card's. Raises StoreUnavailable."""
    found = {}
    for row in await guarded(pool.fetch(_CARDS, copies)):
        copy, name, code, set_name, number, rarity, serial, description, traits, edition = tuple(row)[:10]
        grader, grade, images, model_3d, royalty = tuple(row)[10:]
        found[copy] = MintedCard(
            name, code, set_name, number, rarity, serial, description, msgspec.json.decode(traits), edition, grader,
            grade, tuple(images), model_3d, royalty,
        )  # fmt: skip
    return found
