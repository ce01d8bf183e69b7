"""Routes that will go: their answers say so (RFC 9745 ``Deprecation``, RFC 8594 ``Sunset``). See docs/protocol.md."""

from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import formatdate

# The least time between the announcement and the end.
NOTICE_DAYS = 180
DAY_S = 86_400


@dataclass(frozen=True)
class Deprecated:
    """Since when, and until when a route works (seconds since 1970); ``link``: the page that says what replaces it."""

    since_s: int
    sunset_s: int
    link: str

    def __post_init__(self) -> None:
        if self.sunset_s - self.since_s < NOTICE_DAYS * DAY_S:
            raise ValueError(f"a deprecated route works for at least {NOTICE_DAYS} days")

    def headers(self) -> dict[str, str]:
        """The headers of each answer."""
        return {
            "Deprecation": f"@{self.since_s}",
            "Sunset": formatdate(self.sunset_s, usegmt=True),
            "Link": f'<{self.link}>; rel="deprecation"',
        }


# By method and path, as in OpenAPI, which marks them too. None at present.
DEPRECATED: Mapping[tuple[str, str], Deprecated] = {}
