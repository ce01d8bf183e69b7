"""What a caller may not do is logged, with who and what, and without what they sent."""

import pytest
from structlog.testing import capture_logs

from domain.ids import id_text
from domain.permissions import DEFAULT_ROLES, Access, Permission
from gateway.identity.permissions import check
from gateway.identity.tokens import Identity
from gateway.wire.faults import RequestFailed


def test_a_refused_caller_is_logged_and_others_are_not():
    ann = Identity(7, "ann", frozenset(DEFAULT_ROLES), expires_at_ms=0, session="s")
    with capture_logs() as logged:
        check(ann, Access.SIGNED_IN)
        check(ann, Permission.BID)
        with pytest.raises(RequestFailed, match="this needs the permission"):
            check(ann, Permission.MODERATE)
        with pytest.raises(RequestFailed, match="this needs an access token"):
            check(None, Permission.BID)
    entry = {"user": id_text(7), "needed": str(Permission.MODERATE), "by_key": False}
    assert logged == [{"event": "access_refused", "log_level": "info"} | entry]
