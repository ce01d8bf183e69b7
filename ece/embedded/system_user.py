"""The user that PostgreSQL runs as when the engine runs as root: PostgreSQL refuses to be root."""

import os
import pwd
import stat
from collections.abc import Callable, Sequence
from pathlib import Path

from ece.child_processes.child import SystemUser
from ece.failure import Failure

# Assigned neither by useradd or adduser nor by systemd (https://systemd.io/UIDS-GIDS).
FREE_IDS = range(60_706, 61_184)
# The users that can run initdb, which looks its user's name up; every system has one of them.
ACCOUNTS = ("nobody", "daemon")
_PASS_THROUGH = 0o001
_READ = 0o004


def user_for_postgres(data: Path) -> SystemUser:
    """The owner of the data; for new data, and for data of root, a user id without a name. Raises Failure."""
    if data.exists() and (owner := data.stat()).st_uid != 0:
        return SystemUser(owner.st_uid, owner.st_gid)
    for number in FREE_IDS:
        try:
            pwd.getpwuid(number)
        except KeyError:
            return SystemUser(number, number)
    raise Failure(
        "PostgreSQL may not run as root, and no user id is free for it. Start the engine as an ordinary user."
    )


def user_for_initdb() -> SystemUser:
    """An account that has a name. What it makes is given to another user afterwards. Raises Failure."""
    for name in ACCOUNTS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return SystemUser(entry.pw_uid, entry.pw_gid)
    raise Failure(
        f"PostgreSQL may not run as root, and there is no user {' or '.join(ACCOUNTS)} to make the database as. "
        "Start the engine as an ordinary user, or set ECE_DATABASE_URL to a PostgreSQL of your own."
    )


def give(path: Path, user: SystemUser) -> None:
    """Have this user own the path and all below it. Raises Failure for a file that has another name elsewhere."""
    os.chown(path, user.uid, user.gid)
    for parent, folders, files in os.walk(path):
        for inner in (Path(parent) / name for name in (*folders, *files)):
            status = inner.lstat()
            if stat.S_ISREG(status.st_mode) and status.st_nlink > 1:
                raise Failure(f"{inner} is a hard link: it is not given to PostgreSQL's user.")
            os.chown(inner, user.uid, user.gid, follow_symlinks=False)


def open_way(programs: Path, folders: Sequence[Path], report: Callable[[str], None]) -> None:
    """Let other users run the programs and reach the folders."""
    for path in (programs, *folders):
        _open_way_to(path, report)
    if not (programs / "postgres").stat().st_mode & _PASS_THROUGH:
        _make_readable(programs.parent)  # unpacked under a strict umask


def _open_way_to(path: Path, report: Callable[[str], None]) -> None:
    for folder in path.resolve().parents:
        mode = folder.stat().st_mode
        if not mode & _PASS_THROUGH:
            # Passing through is enough: what is in there can't be listed.
            folder.chmod(mode | _PASS_THROUGH)
            report(f"{folder}: other users may now pass through it, as PostgreSQL's user has to")


def _make_readable(folder: Path) -> None:
    for parent, _folders, files in os.walk(folder):
        path = Path(parent)
        path.chmod(path.stat().st_mode | _READ | _PASS_THROUGH)
        for name in files:
            file = path / name
            mode = file.stat().st_mode
            file.chmod(mode | _READ | (_PASS_THROUGH if mode & 0o100 else 0))
