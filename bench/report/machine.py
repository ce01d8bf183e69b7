"""The machine and the version that a report is about."""

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent.parent
GIT_WITHIN_S = 10.0
PACKAGES = ("ray", "uvicorn", "asyncpg", "msgspec", "locust")


def machine() -> dict[str, str]:
    """What it is called, for people. No names of hosts or users."""
    memory = psutil.virtual_memory()
    cpus = len(os.sched_getaffinity(0))
    return {
        "processors": f"{cpus} × {_processor()}",
        "memory": f"{memory.total / 1024**3:.1f} GiB",
        "busy before the run": f"{psutil.cpu_percent(interval=1.0):.0f}% of the processors",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "Python": platform.python_version(),
        "packages": ", ".join(f"{name} {version(name)}" for name in PACKAGES),
    }


def commit() -> str:
    """The commit of this code, with `+` where files have been changed since; the version without git."""
    try:
        found = _git("rev-parse", "--short=12", "HEAD")
        return found + ("+" if _git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return f"version {version('ece-engine')}"


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True, timeout=GIT_WITHIN_S
    )
    return done.stdout.strip()


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()
