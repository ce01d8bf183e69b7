import os
import shutil
from collections import namedtuple

import pytest

from ece.data_dir import DataDir, RunState, make_runtime_dir, with_secrets
from ece.failure import Failure
from ece.settings import load_settings

RESERVE = 100 * 1024 * 1024


@pytest.fixture
def data_dir(tmp_path) -> DataDir:
    made = DataDir(tmp_path / "data")
    made.create(RESERVE)
    return made


def state(pid: int) -> RunState:
    return RunState(pid, "i", "ready", "http://x:1", "ws://x:1/ws", "postgresql://", "unix://", "/r", 5, {"gateway": 7})


def test_the_state_of_an_engine_is_read_back_and_only_its_owner_may_read_it(data_dir):
    data_dir.write_state(state(3))
    assert data_dir.read_state() == state(3)
    assert data_dir.run_file.stat().st_mode & 0o777 == 0o600


def test_a_damaged_state_counts_as_none(data_dir):
    data_dir.run_file.write_text('{"pid": 3')
    assert data_dir.read_state() is None


def test_a_second_engine_is_refused_and_told_of_the_first(data_dir):
    data_dir.write_state(state(4711))
    with data_dir.locked():
        assert data_dir.is_locked()
        with pytest.raises(Failure, match=r"already runs .*: process 4711, http://x:1 \(ready\)"), data_dir.locked():
            pass
    assert not data_dir.is_locked()


def test_secrets_are_made_once_and_kept_private(data_dir):
    first = data_dir.secret("jwt").get_secret_value()
    assert len(first) >= 32
    assert data_dir.secret("jwt").get_secret_value() == first
    assert (data_dir.secrets / "jwt").stat().st_mode & 0o777 == 0o600
    assert data_dir.secret("cluster").get_secret_value() != first


def test_a_damaged_secret_is_named_not_replaced(data_dir):
    (data_dir.secrets / "jwt").write_text("short")
    with pytest.raises(Failure, match="secrets/jwt is too short or damaged"):
        data_dir.secret("jwt")


def test_a_secret_of_the_environment_comes_first(data_dir):
    settings = with_secrets(load_settings(jwt_secret="e" * 40, cluster_secret=None), data_dir)
    assert settings.jwt_secret is not None
    assert settings.jwt_secret.get_secret_value() == "e" * 40
    assert settings.cluster_secret == data_dir.secret("cluster")


def test_a_full_disk_is_refused_before_anything_is_written(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 10**9 - 5_000_000, 5_000_000))
    with pytest.raises(Failure, match="is full: 4 MB are free, 100 MB are needed"):
        DataDir(tmp_path / "data").create(RESERVE)


def test_a_file_in_the_place_of_the_data_directory_is_refused(tmp_path):
    (tmp_path / "data").write_text("")
    with pytest.raises(Failure, match="can't be used"):
        DataDir(tmp_path / "data").create(RESERVE)


def test_a_directory_for_sockets_that_is_too_long_is_refused():
    with pytest.raises(Failure, match="is too long for the names of sockets"):
        make_runtime_dir(load_settings(runtime_dir="/tmp/" + "x" * 60))


def test_somebody_elses_link_in_the_place_of_the_socket_directory_is_refused(tmp_path, monkeypatch):
    (tmp_path / "theirs").mkdir()
    os.symlink(tmp_path / "gone", tmp_path / "s")
    monkeypatch.setattr("ece.data_dir.RUNTIME_DIR_BYTES_MAX", 500)
    with pytest.raises(Failure, match="can't be used"):
        make_runtime_dir(load_settings(runtime_dir=tmp_path / "s"))
