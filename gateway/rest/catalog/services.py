"""What the routes of the catalog work with."""

from dataclasses import dataclass

from persistence.catalog.reading import CatalogReading
from persistence.catalog.view import CatalogView
from persistence.catalog.writing import CatalogWriting


@dataclass(frozen=True)
class Catalog:
    """The catalog as it is shown, as it is read by whatever needs cards, and as operators write it."""

    view: CatalogView
    reading: CatalogReading
    writing: CatalogWriting
