"""What the routes of the catalog work with."""

from dataclasses import dataclass

from persistence.catalog import CatalogWriting
from persistence.catalog_reading import CatalogReading


@dataclass(frozen=True)
class Catalog:
    """The catalog as it is read and as operators write it."""

    reading: CatalogReading
    writing: CatalogWriting
