"""What the routes of OpenID Connect take and answer."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from gateway.rest.identity.bodies import Code
from gateway.rest.proofs import Proof

URL_LENGTH_MAX = 500

ReturnTo = Annotated[str, Field(min_length=1, max_length=URL_LENGTH_MAX)]
S256 = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{43}$", description="Of a `verifier` as in RFC 7636, S256")]
Verifier = Annotated[str, Field(min_length=43, max_length=128, pattern=r"^[A-Za-z0-9._~-]+$")]


class ProviderItem(BaseModel):
    """``start``: the address to send a browser to."""

    name: str
    start: str


class ProviderList(BaseModel):
    """In the order in which the operator has set them."""

    items: list[ProviderItem]


class ProviderUrl(BaseModel):
    """Where the browser that got the cookie of this answer has to go."""

    url: str


class OpenIdLink(Proof):
    """Who one is, and the page of the app that the browser returns to."""

    return_to: ReturnTo | None = None


class LogInCode(BaseModel):
    """``login_code`` from the address of the app's page, and the ``verifier`` of its log-in."""

    model_config = ConfigDict(strict=True, extra="forbid")

    login_code: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[\x21-\x7e]+$")]
    verifier: Verifier
    code: Code | None = None


class Linked(BaseModel):
    """The provider whose account is linked now."""

    linked: str
