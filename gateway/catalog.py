"""What the routes of the catalog work with."""

from dataclasses import dataclass

from persistence.catalog import CatalogWriting
from persistence.catalog_reading import CatalogReading
from persistence.catalog_view import CatalogView


@dataclass(frozen=True)
class Catalog:
    """The catalog as it is shown, as it is read by whatever needs cards, and as operators write it."""

    view: CatalogView
    reading: CatalogReading
    writing: CatalogWriting
