"""The packages of the peers on Node.js."""

import shutil
from pathlib import Path

import pytest

from bench.loads.processes import free_port
from bench.peers import node_packages


async def test_npm_without_a_registry_is_an_error_that_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    sources = shutil.copytree(node_packages.SOURCES, tmp_path / "node")
    settings = {"registry": f"http://127.0.0.1:{free_port()}", "cache": tmp_path / "npm", "fetch-retries": 0}
    (sources / ".npmrc").write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    monkeypatch.setattr(node_packages, "SOURCES", sources)
    monkeypatch.setattr(node_packages, "CACHE", tmp_path / "cache")
    said: list[str] = []
    with pytest.raises(node_packages.PackagesUnavailable, match=r"needs a package registry.*--peer row-lock"):
        await node_packages.installed(said.append)
    assert said == ["installing the packages of the Node.js peers (npm), once"]
    # Nothing is left that looks installed.
    assert list((tmp_path / "cache").iterdir()) == []


async def test_what_is_installed_is_used_until_a_file_of_the_peers_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    async def install(folder: Path) -> None:
        (folder / "node_modules").mkdir()

    sources = shutil.copytree(node_packages.SOURCES, tmp_path / "node")
    monkeypatch.setattr(node_packages, "SOURCES", sources)
    monkeypatch.setattr(node_packages, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(node_packages, "_install", install)
    said: list[str] = []
    first = await node_packages.installed(said.append)
    assert await node_packages.installed(said.append) == first
    assert (first / "server.js").read_bytes() == (sources / "server.js").read_bytes()
    (sources / "server.js").write_text("// another")
    assert await node_packages.installed(said.append) != first
    assert len(said) == 2
