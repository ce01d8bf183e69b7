"""The stores of the routes about the catalog."""

from dataclasses import dataclass

from persistence.catalog.cache import CatalogCache
from persistence.catalog.creating import CardCreating
from persistence.catalog.reading import CatalogReading
from persistence.catalog.view import CatalogView
from persistence.catalog.writing import CatalogWriting
from persistence.postgres.pool import Pool


@dataclass(frozen=True)
class Catalog:
    """The catalog: the cached view, direct reads, writes, and cards that users create."""

    view: CatalogView
    reading: CatalogReading
    writing: CatalogWriting
    creating: CardCreating


def catalog_services(pool: Pool, cache: CatalogCache) -> Catalog:
    """Those of this database."""
    writing = CatalogWriting(pool)
    return Catalog(CatalogView(pool, cache), CatalogReading(pool), writing, CardCreating(pool, writing))
