"""For root only: the ordinary user that PostgreSQL, which refuses to run as root, is started as."""

import os
import pwd
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from ece.failure import Failure
from ece.supervisor.processes import SystemUser

# The wheel's own name for it, so that a machine gets one such user and not two.
SYSTEM_USER = "pgserver"
_PASS_THROUGH = 0o001
_READ = 0o004


def user_for_postgres(programs: Path, folders: Sequence[Path], say: Callable[[str], None]) -> SystemUser:
    """The user, made if need be, who can then run the programs and reach the folders. Raises Failure."""
    user = _existing_user() or _made_user()
    for path in (programs, *folders):
        _open_way_to(path, say)
    if not (programs / "postgres").stat().st_mode & _PASS_THROUGH:
        _make_readable(programs.parent)  # unpacked under a strict umask
    return user


def _existing_user() -> SystemUser | None:
    try:
        entry = pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        return None
    return SystemUser(entry.pw_uid, entry.pw_gid)


def _made_user() -> SystemUser:
    reason = ""
    # Debian and Red Hat have useradd, Alpine has adduser.
    for command in (["useradd", "--system", SYSTEM_USER], ["adduser", "-S", "-D", "-H", SYSTEM_USER]):
        try:
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=30)
        except (OSError, subprocess.SubprocessError) as error:
            reason = reason or str(getattr(error, "stderr", "") or error).strip()
        if (user := _existing_user()) is not None:
            return user
    raise Failure(
        f"PostgreSQL may not run as root, and the system user {SYSTEM_USER!r} could not be made ({reason}). "
        "Start the engine as an ordinary user, or set ECE_DATABASE_URL to a PostgreSQL of your own."
    )


def _open_way_to(path: Path, say: Callable[[str], None]) -> None:
    for folder in path.resolve().parents:
        mode = folder.stat().st_mode
        if not mode & _PASS_THROUGH:
            # Passing through is enough: what is in there can't be listed.
            folder.chmod(mode | _PASS_THROUGH)
            say(f"{folder}: other users may now pass through it, as PostgreSQL's user has to")


def _make_readable(folder: Path) -> None:
    for parent, _folders, files in os.walk(folder):
        path = Path(parent)
        path.chmod(path.stat().st_mode | _READ | _PASS_THROUGH)
        for name in files:
            file = path / name
            mode = file.stat().st_mode
            file.chmod(mode | _READ | (_PASS_THROUGH if mode & 0o100 else 0))
