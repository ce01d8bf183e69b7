"""What users may not do before they have verified their address."""

import pytest

from gateway.identity.verification import UNVERIFIED, request_denied

ROLES = ("collector", UNVERIFIED)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", "/api/v1/sessions"), ("DELETE", "/api/v1/sessions/{session}"),
        ("DELETE", "/api/v1/api-keys/{key_id}"), ("POST", "/api/v1/auth/logout"), ("PUT", "/api/v1/users/me/email"),
        ("POST", "/api/v1/users/me/deletion"), ("GET", "/api/v1/auctions"),
    ],
)  # fmt: skip
def test_the_unverified_may_look_and_take_care_of_their_account(method: str, path: str):
    assert not request_denied(ROLES, method, path)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/v1/auctions"), ("POST", "/api/v1/api-keys"), ("DELETE", "/api/v1/wallets/links/{address}"),
        ("DELETE", "/api/v1/admin/users/{username}/roles/{role}"),
    ],
)  # fmt: skip
def test_the_unverified_change_nothing_else(method: str, path: str):
    assert request_denied(ROLES, method, path)
    assert not request_denied(("collector",), method, path)
