"""Parts of bodies about accounts."""

from typing import Annotated

from fastapi import Request
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from domain.users import RESERVED_DOMAIN, email_address, is_reserved, login_key
from gateway.http.problems import Problem
from gateway.identity.attempts import caller_of
from gateway.identity.passwords.rules import PasswordRefused, check_password
from gateway.rest.services import Services
from gateway.rest.text import LINE, SECRET

EMAIL_LENGTH_MAX = 254
PASSWORD_LENGTH_MIN = 12
PASSWORD_LENGTH_MAX = 128
# Passwords of before may be longer.
OLD_PASSWORD_LENGTH_MAX = 1_000
CODE_LENGTH_MAX = 32
USERNAME_PATTERN = r"^[A-Za-z0-9_-]{3,30}$"


def _new_email(text: str) -> str:
    address = email_address(text)
    if address.lower().endswith(RESERVED_DOMAIN):
        raise ValueError("this domain is reserved")
    return address


def _new_username(text: str) -> str:
    if is_reserved(text):
        raise ValueError("this name is reserved")
    return text


Email = Annotated[str, Field(max_length=EMAIL_LENGTH_MAX, examples=["ann@example.org"]), AfterValidator(_new_email)]
Username = Annotated[str, Field(pattern=USERNAME_PATTERN, examples=["ann"]), AfterValidator(_new_username)]
NewPassword = Annotated[str, Field(min_length=PASSWORD_LENGTH_MIN, max_length=PASSWORD_LENGTH_MAX), SECRET]
AnyPassword = Annotated[str, Field(min_length=1, max_length=OLD_PASSWORD_LENGTH_MAX), SECRET]
Code = Annotated[
    str, Field(min_length=6, max_length=CODE_LENGTH_MAX, examples=["123456"], description="Or a recovery code"), LINE
]
MailToken = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[\x21-\x7e]+$")]


class Body(BaseModel):
    """Strict, and without unknown fields."""

    model_config = ConfigDict(strict=True, extra="forbid")


class AddressBody(Body):
    """An e-mail address."""

    email: Email


def check_new_password(services: Services, password: str, username: str, email: str) -> None:
    """Raises the problem ``password_refused``."""
    try:
        check_password(password, (username, email, *services.accounts.site_words))
    except PasswordRefused as refused:
        raise Problem(refused.code, str(refused), reason=refused.reason) from None


def address_of(request: Request) -> str:
    """The key of the address that a request came from."""
    return caller_of(request.client.host if request.client else None)


def attempted(login: str) -> str:
    """What attempts at this login are counted by."""
    try:
        return login_key(login)
    except ValueError:
        return login
