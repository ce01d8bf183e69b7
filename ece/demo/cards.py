"""The cards of the demo, each from the seed and its position: more cards do not change the others."""

import hashlib
import random
from collections.abc import Sequence

import msgspec

from domain.catalog.rows import CardRow

SET_SIZE = 50
# Raise it when the drawing changes: pictures are cached by name.
PICTURES_VERSION = 1
MEDIA_PATH = "/media/cards/"


class Element(msgspec.Struct, frozen=True):
    """What a card is of: its words."""

    adjectives: Sequence[str]
    places: Sequence[str]


ELEMENTS = {
    "ember": Element(
        ("Ashen", "Blazing", "Cinder", "Molten", "Scorched", "Smouldering"),
        ("Kindled Peaks", "Last Forge", "Glass Desert", "Red Caldera"),
    ),
    "tide": Element(
        ("Abyssal", "Coral", "Drowned", "Pearl", "Riptide", "Salt-Crowned"),
        ("Sunken Court", "Lantern Reef", "Ninth Wave", "Still Depths"),
    ),
    "grove": Element(
        ("Bramble", "Elder", "Mossback", "Rootbound", "Thorned", "Verdant"),
        ("Whispering Boughs", "Green Cathedral", "Fern Throne", "Old Roots"),
    ),
    "storm": Element(
        ("Charged", "Galeborn", "Sky-Torn", "Tempest", "Thunderous", "Voltaic"),
        ("Broken Sky", "Hundred Winds", "Iron Clouds", "White Lightning"),
    ),
    "frost": Element(
        ("Frozen", "Glacial", "Hoarfrost", "Pale", "Rime", "Winterborn"),
        ("Silent Glacier", "Northern Lights", "Long Night", "Blue Hollow"),
    ),
    "dusk": Element(
        ("Gloaming", "Hollow", "Moonless", "Nightveil", "Umbral", "Veiled"),
        ("Violet Hour", "Sleepless City", "Last Lantern", "Quiet Moon"),
    ),
    "dawn": Element(
        ("Auric", "Dawnlit", "Gilded", "Radiant", "Sunwoven", "Vigilant"),
        ("First Light", "Golden Steppe", "Sun Gate", "Bright Meridian"),
    ),
    "stone": Element(
        ("Basalt", "Carved", "Granite", "Ironclad", "Rune-Marked", "Weathered"),
        ("Standing Stones", "Deep Quarry", "Worn Stair", "Giant's Table"),
    ),
}
# Kind of creature → what it may be called.
CREATURES = {
    "beast": ("Wolf", "Fox", "Lynx", "Jackal"),
    "stag": ("Stag", "Elk", "Hart", "Hind"),
    "lion": ("Lion", "Manticore", "Chimera", "Sphinx"),
    "ram": ("Ram", "Ibex", "Minotaur", "Satyr"),
    "drake": ("Drake", "Wyvern", "Dragon", "Gargoyle"),
    "bird": ("Phoenix", "Raven", "Heron", "Roc"),
    "moth": ("Moth", "Butterfly", "Sylph", "Mirage"),
    "serpent": ("Serpent", "Basilisk", "Leviathan", "Hydra"),
    "kraken": ("Kraken", "Medusa", "Drifter", "Polyp"),
    "golem": ("Golem", "Colossus", "Sentinel", "Warden"),
    "crystal": ("Shard", "Geode", "Prism", "Spire"),
    "tree": ("Treant", "Dryad", "Willow", "Worldtree"),
    "sigil": ("Sigil", "Seal", "Mandala", "Astrolabe"),
}
CLASSES = {"crystal": "relic", "sigil": "relic", "golem": "construct", "tree": "spirit", "moth": "spirit"}
# Rarity → (how many in a thousand, copies there may be, strength to begin with).
RARITIES = {
    "common": (400, None, 1),
    "uncommon": (280, 5_000, 2),
    "rare": (180, 1_000, 4),
    "epic": (90, 250, 6),
    "legendary": (38, 50, 8),
    "mythic": (12, 10, 10),
}
ARTISTS = (
    "Ada Quill", "Bram Osei", "Chiyo Lind", "Dario Fenn", "Esme Okafor", "Felix Marr", "Greta Sol", "Hana Voss",
    "Idris Kay", "Juno Park", "Kofi Strand", "Lena Wu",
)  # fmt: skip
EPITHETS = ("Ancient", "Eternal", "First", "Forgotten", "Last", "Nameless", "Sovereign", "Twice-Born")
SET_WORDS = (
    ("Echoes", "Shards", "Heirs", "Songs", "Embers", "Oaths", "Tides", "Omens", "Keepers", "Veils"),
    ("Aurelion", "Myrrowen", "the Last Sun", "Thornmere", "the Hollow Crown", "Vael", "the Deep", "Karst", "Ysolde"),
)
LORE = (
    "It was here before the {place} had a name, and it will be here after.",
    "Travellers of the {place} leave a coin for it. None has ever been found again.",
    "“Don't run,” said the guide. “It only wants to know who you are.”",
    "Some say it guards the {place}. Others say that it only waits there.",
    "Three kings have hunted it. It remembers all of them fondly.",
    "When the {place} falls silent, it is listening.",
    "It asks each visitor one question, and keeps the answers.",
    "Nobody made it. The {place} simply grew tired of being alone.",
    "Its shadow arrives a moment before it does.",
    "The {place} has one law, and this is it.",
    "It has never been seen twice in the same mood.",
    "Children of the {place} draw it on their doors, and sleep well.",
    "What it loses it grows again. What it finds it keeps.",
    "“We asked it for mercy. It asked us what that was.”",
    "Maps of the {place} end where it begins.",
    "It sings once a year. Nobody who has heard it talks of anything else.",
    "On clear nights one hears it count the stars, and get it right.",
)


class DemoSet(msgspec.Struct, frozen=True):
    """A set, and which elements its cards are of. ``symbol``: which of the symbols it has."""

    code: str
    name: str
    elements: tuple[str, ...]
    symbol: int


class DemoCard(msgspec.Struct, frozen=True):
    """A card, and what its picture is drawn by. ``power`` and ``ward`` are 1 to 12."""

    set: DemoSet
    number: int
    name: str
    rarity: str
    element: str
    creature: str
    kind: str
    artist: str
    power: int
    ward: int
    edition: int | None
    lore: str
    seed: str

    @property
    def picture(self) -> str:
        """The name of its picture's file: another one for everything that is drawn otherwise."""
        digest = hashlib.blake2b(msgspec.json.encode((PICTURES_VERSION, self)), digest_size=10).hexdigest()
        return f"{self.set.code}-{self.number}-{digest}.webp"

    def row(self) -> CardRow:
        """The same, for the catalog."""
        traits = {
            "element": self.element, "class": self.kind, "creature": self.creature, "artist": self.artist,
            "power": str(self.power), "ward": str(self.ward),
        }  # fmt: skip
        return CardRow(
            self.set.code, f"{self.number:02d}", self.name, self.rarity, self.set.name, self.lore, traits, self.edition,
            [MEDIA_PATH + self.picture],
        )  # fmt: skip


def demo_set(seed: int, place: int) -> DemoSet:
    """The set at this place."""
    chance = random.Random(f"{seed} set {place}")
    first, second = (chance.choice(words) for words in SET_WORDS)
    slug = f"{first} {second}".lower().replace("the ", "").replace(" ", "-")
    tag = hashlib.blake2b(f"{seed} {place}".encode(), digest_size=2).hexdigest()
    return DemoSet(f"{slug}-{tag}"[:32], f"{first} of {second}", tuple(chance.sample(sorted(ELEMENTS), 4)), place % 6)


def demo_card(seed: int, place: int) -> DemoCard:
    """The card at this place of all: the same whichever others are asked for."""
    chance = random.Random(f"{seed} card {place}")
    its_set, number = demo_set(seed, place // SET_SIZE), place % SET_SIZE + 1
    [rarity] = chance.choices(list(RARITIES), [share for share, _, _ in RARITIES.values()])
    # Sets begin with something to look at.
    rarity = {1: "mythic", 2: "legendary"}.get(number, rarity)
    element = chance.choice(its_set.elements)
    creature = chance.choice(list(CREATURES))
    words = ELEMENTS[element]
    where = chance.choice(words.places)
    base = RARITIES[rarity][2]
    return DemoCard(
        its_set,
        number,
        _name(chance, rarity, chance.choice(words.adjectives), chance.choice(CREATURES[creature]), where),
        rarity,
        element,
        creature,
        CLASSES.get(creature, "creature"),
        chance.choice(ARTISTS),
        base + chance.randrange(3),
        base + chance.randrange(3),
        RARITIES[rarity][1],
        chance.choice(LORE).format(place=where),
        f"{seed} picture {place}",
    )


def _name(chance: random.Random, rarity: str, adjective: str, creature: str, place: str) -> str:
    if rarity in ("legendary", "mythic"):
        return chance.choice(
            (f"{creature} of the {place}", f"{chance.choice(EPITHETS)} {creature}", f"{adjective} {creature} Ascendant")
        )
    return f"{adjective} {creature}"
