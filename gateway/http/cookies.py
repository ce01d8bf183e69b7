"""Sessions by cookies: what they are called, how they are read and set (RFC 6265bis).

Over TLS their names begin with ``__Host-`` or ``__Secure-``, so that browsers take them from nobody else: no other
host of the domain, and no page without TLS, can plant one. Scripts read the CSRF cookie alone.
"""

from typing import Any, NamedTuple

REFRESH_PATH = "/api/v1/auth"
_COOKIES_MAX = 64


class CookieNames(NamedTuple):
    """The names of the three cookies of a session."""

    access: str
    refresh: str
    csrf: str


_SECURE = CookieNames("__Host-ece_access", "__Secure-ece_refresh", "__Host-ece_csrf")
_PLAIN = CookieNames("ece_access", "ece_refresh", "ece_csrf")


class SessionCookies(NamedTuple):
    """The values of the cookies of a session, and for how many seconds they are good."""

    access: str
    refresh: str
    csrf: str
    access_s: int
    refresh_s: int


def names_of(*, secure: bool) -> CookieNames:
    """The names that count on this connection; those of the other kind are not read."""
    return _SECURE if secure else _PLAIN


def header_of(scope: Any, name: bytes) -> str:
    """The first header of this name (in lower case); empty without one."""
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), "")


def cookies_of(scope: Any) -> dict[str, str]:
    """The cookies of a request. One that is there twice is none: nobody knows who planted the other."""
    parts = [part for key, value in scope["headers"] if key == b"cookie" for part in value.decode("latin-1").split(";")]
    found: dict[str, str] = {}
    twice = set()
    for part in parts[:_COOKIES_MAX]:
        name, equals, value = part.strip(" \t").partition("=")
        if equals:
            if name in found:
                twice.add(name)
            found[name] = value
    return {name: value for name, value in found.items() if name not in twice}


def set_cookies(values: SessionCookies, *, secure: bool) -> list[str]:
    """The values of ``Set-Cookie`` that begin or go on with a session."""
    names = names_of(secure=secure)
    return [
        _cookie(names.access, values.access, "/", values.access_s, secure=secure),
        _cookie(names.refresh, values.refresh, REFRESH_PATH, values.refresh_s, secure=secure),
        _cookie(names.csrf, values.csrf, "/", values.refresh_s, secure=secure, for_scripts=True),
    ]


def clear_cookies(*, secure: bool) -> list[str]:
    """The values of ``Set-Cookie`` that end a session in the browser."""
    names = names_of(secure=secure)
    paths = ((names.access, "/"), (names.refresh, REFRESH_PATH), (names.csrf, "/"))
    return [_cookie(name, "", path, 0, secure=secure) for name, path in paths]


def _cookie(name: str, value: str, path: str, age_s: int, *, secure: bool, for_scripts: bool = False) -> str:
    flags = ("" if for_scripts else "; HttpOnly") + ("; Secure" if secure else "")
    return f"{name}={value}; Path={path}; Max-Age={age_s}; SameSite=Strict{flags}"
