"""The data directory: paths, the lock against a second engine, secrets, and the state of a running engine."""

import fcntl
import json
import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal, Self

from pydantic import SecretStr

from ece.failure import Failure
from ece.settings import NO_CHAIN, RUNTIME_DIR_BYTES_MAX, Settings


@dataclass(frozen=True)
class RunState:
    """The content of run.json while an engine runs. URLs may hold passwords: only the owner may read the file."""

    pid: int
    instance: str
    status: Literal["starting", "ready", "stopping"]
    url: str
    ws_url: str
    database_url: str
    redis_url: str
    runtime_dir: str
    started_at_ms: int
    solana_rpc_url: str = NO_CHAIN
    usdc_mint: str | None = None
    children: Mapping[str, int] = field(default_factory=dict)

    @property
    def rpc_urls(self) -> list[str]:
        """The Solana RPC servers that the engine uses, one by one."""
        return [] if self.solana_rpc_url == NO_CHAIN else self.solana_rpc_url.split(",")


class DataDir:
    """Paths inside the data directory, and the files of the supervisor in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.postgres = path / "postgres"
        self.logs = path / "logs"
        self.secrets = path / "secrets"
        self.chain_secrets = self.secrets / "chain"
        self.media = path / "media"
        self.chain = path / "chain"
        self.content = path / "content"
        self.mail = path / "mail"
        self.run_file = path / "run.json"
        self.lock_file = path / "lock"

    def create(self, free_bytes_min: int) -> None:
        """Make what is missing. Raises Failure when it can't be used, or less than this is free on its disk."""
        try:
            # Root's embedded PostgreSQL runs as another user, who has to pass through (but not to list).
            _private(self.path, 0o711 if os.geteuid() == 0 else 0o700)
            _private(self.logs, 0o700)
            _private(self.secrets, 0o700)
            _private(self.chain, 0o700)
        except OSError as error:
            raise Failure(
                f"The data directory {self.path} can't be used: {error.strerror}. "
                "Correct its permissions, or set ECE_DATA_DIR to another one."
            ) from error
        free = shutil.disk_usage(self.path).free
        if free < free_bytes_min:
            raise Failure(
                f"The disk of {self.path} is full: {free // 1024**2} MB are free, "
                f"{free_bytes_min // 1024**2} MB are needed. "
                "Make room, set ECE_DATA_DIR to another disk, or lower ECE_DISK_RESERVE_BYTES. Nothing was changed."
            )

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the data directory for this process. Raises Failure when another engine holds it."""
        with self.lock_file.open("a") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Failure(self._taken()) from None
            yield

    def _taken(self) -> str:
        state = self.read_state()
        if state is None:
            return f"Another engine is starting or stopping on {self.path}. Try again in a moment."
        return (
            f"An engine already runs on {self.path}: process {state.pid}, {state.url} ({state.status}). "
            f"Stop it with Ctrl-C or `kill {state.pid}`, or set ECE_DATA_DIR and ECE_PORT to start another one."
        )

    def is_locked(self) -> bool:
        """Does an engine hold this directory now?"""
        try:
            with self.lock_file.open("r") as handle:
                fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def write_state(self, state: RunState) -> None:
        _write_private(self.run_file, json.dumps(asdict(state), indent=1))

    def read_state(self) -> RunState | None:
        """The state that the last engine wrote; whether that engine still lives is another question."""
        try:
            return RunState(**json.loads(self.run_file.read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def remove_state(self) -> None:
        self.run_file.unlink(missing_ok=True)

    def secret(self, name: str) -> SecretStr:
        """The secret of this name, made at the first use."""
        path = self.secrets / name
        try:
            value = path.read_text().strip()
        except FileNotFoundError:
            value = secrets.token_urlsafe(48)
            _write_private(path, value + "\n")
        if len(value) < 32:
            raise Failure(f"The secret in {path} is too short or damaged. Restore it, or delete it to make a new one.")
        return SecretStr(value)


def with_secrets(settings: Settings, data_dir: DataDir) -> Settings:
    """The settings with the secrets of the data directory where the environment gives none."""
    return settings.changed(
        jwt_secret=settings.jwt_secret or data_dir.secret("jwt"),
        cluster_secret=settings.cluster_secret or data_dir.secret("cluster"),
        mail_secret=settings.mail_secret or data_dir.secret("mail"),
    )


def make_runtime_dir(settings: Settings) -> Path:
    """The private directory for sockets, made if need be. Raises Failure if it is too long or someone else's."""
    path = settings.sockets_dir
    if len(os.fsencode(path)) > RUNTIME_DIR_BYTES_MAX and settings.runtime_dir is None:
        path = Path("/tmp") / path.name  # a long TMPDIR: the usual place will do
    if len(os.fsencode(path)) > RUNTIME_DIR_BYTES_MAX:
        raise Failure(
            f"ECE_RUNTIME_DIR: {path} is too long for the names of sockets in it "
            f"({RUNTIME_DIR_BYTES_MAX} bytes at most)."
        )
    try:
        _private(path, 0o711 if os.geteuid() == 0 else 0o700)
    except OSError as error:
        raise Failure(f"The directory for sockets, {path}, can't be used: {error}. Set ECE_RUNTIME_DIR.") from error
    return path


class RuntimeDir:
    """A runtime directory that is removed at the end."""

    def __init__(self, settings: Settings) -> None:
        self.path = make_runtime_dir(settings)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.path, ignore_errors=True)


def _private(path: Path, mode: int) -> None:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = path.lstat()
    # In a shared temporary directory somebody else may have been quicker.
    if not stat.S_ISDIR(status.st_mode) and not (path.is_dir() and path.stat().st_uid == os.geteuid()):
        raise NotADirectoryError(20, "not a directory", str(path))
    if path.stat().st_uid != os.geteuid():
        raise PermissionError(13, "it belongs to another user", str(path))
    path.chmod(mode)


def _write_private(path: Path, text: str) -> None:
    """Write the whole file or nothing, readable by its owner only."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mkstemp gives 0600
    try:
        with os.fdopen(descriptor, "w") as handle:
            handle.write(text)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
