"""What follows a right and a wrong password."""

from gateway.identity.log_in_failures import Counted
from gateway.identity.passwords.hasher import PasswordsBusy
from gateway.rest.services import Services
from persistence.audit.trail import Act
from persistence.identity.mail_jobs import LOCKED_OUT, mail_to_user
from persistence.identity.store import User

LOGIN_FAILED, PASSWORD_WRONG = "login.failed", "password.wrong"


async def record_failure(services: Services, user: User | None, counted: Counted, action: str = LOGIN_FAILED) -> None:
    """Add the failure to the audit trail, and tell the user once if there are several."""
    known = None if user is None else user.user_id
    # What was typed as the login may be a password.
    await services.audit.record(Act(action, known))
    if counted.delayed:
        await services.audit.record(Act("login.delayed", known))
    if counted.notifies and user is not None:
        await services.jobs.add([mail_to_user(LOCKED_OUT, user.user_id)])


async def rehash(services: Services, user: User, password: str, caller: str) -> User:
    """Hash a password that was right again, if that is more work now. A log-in does not fail for it.

    Returns the user with the hash that is stored then, if it is of this password.
    """
    stored = user.password_hash
    if stored is None or not services.passwords.outdated(stored):
        return user
    try:
        await services.accounts.passwords.rehash(user.user_id, stored, await services.passwords.hash(password, caller))
        # Another log-in may have been faster.
        fresh = await services.users.by_id(user.user_id)
        if fresh is not None and await services.passwords.matches(password, fresh.password_hash, caller):
            return fresh
    except PasswordsBusy:
        pass
    return user
