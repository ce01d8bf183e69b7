"""The stores of the routes about the catalog."""

from dataclasses import dataclass

from persistence.catalog.reading import CatalogReading
from persistence.catalog.view import CatalogView
from persistence.catalog.writing import CatalogWriting


@dataclass(frozen=True)
class Catalog:
    """The catalog: the cached view, direct reads, and writes."""

    view: CatalogView
    reading: CatalogReading
    writing: CatalogWriting
