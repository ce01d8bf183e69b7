"""`ece up` as a user meets it: it starts, it is stopped, its parts die, and it is killed itself."""

import os
import pwd
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import httpx
import psutil
import pytest
from engines import READY_WITHIN_S, STOPPED_WITHIN_S, SharedEngine, Up, is_ready, until
from rich.console import Console

from ece.engine.running import running_engine
from ece.settings import load_settings

pytestmark = pytest.mark.timeout(240)

ANN = {"email": "ann@example.org", "username": "ann", "password": "correct horse battery"}
NAMES = ("postgres", "valkey", "chain", "ray-driver", "gateway", "worker")


def post(url: str, body: dict[str, str]) -> int:
    return httpx.post(url, json=body, headers={"Idempotency-Key": "k-" + url[-20:]}, timeout=60.0).status_code


def assert_nothing_is_left(up: Up, runtime_dir: str) -> None:
    assert up.left_behind() == []
    assert not Path(runtime_dir).exists()
    assert not up.data_dir.run_file.exists()


def test_ctrl_c_leaves_nothing_behind_and_the_next_start_goes_on_with_the_data(up):
    up.start()
    state = up.wait_until_ready()
    assert sorted(state.children) == sorted(NAMES)
    up.says(f"{up.url}/docs")
    assert post(f"{up.url}/api/v1/auth/register", ANN) == 201
    assert up.interrupt() == 0
    assert_nothing_is_left(up, state.runtime_dir)

    up.start()
    up.wait_until_ready()
    assert post(f"{up.url}/api/v1/auth/login", {"login": "ann", "password": ANN["password"]}) == 200
    assert up.interrupt() == 0
    assert_nothing_is_left(up, state.runtime_dir)


@pytest.mark.parametrize("moment", ["Starting ECE", "… PostgreSQL 18", "✓ Database schema", "✓ Gateway"])
def test_it_can_be_stopped_at_any_moment_of_its_start(up, moment):
    up.start()
    until(lambda: moment in up.output, READY_WITHIN_S, moment)
    up.state()
    assert up.interrupt() == 0
    assert up.left_behind() == []
    assert "Traceback" not in up.output
    assert not up.data_dir.run_file.exists()


def test_what_dies_is_started_again_and_a_message_says_so(up):
    up.start()
    up.wait_until_ready()
    titles = dict(zip(NAMES, ("PostgreSQL", "Valkey", "Chain", "Ray with the hosts", "Gateway", "Worker"), strict=True))
    for name, title in titles.items():
        before = up.child(name)
        assert before is not None
        os.kill(before, signal.SIGKILL)
        up.says(f"{title} was killed by SIGKILL; starting it again")
        up.says(f"{title} serves again")
        assert up.child(name) not in (None, before)
    until(lambda: is_ready(up.url), 60, "/readyz answers 200 again")
    assert up.interrupt() == 0
    assert up.left_behind() == []


def test_a_killed_supervisor_takes_everything_with_it_and_the_next_one_can_start(up):
    up.start()
    up.wait_until_ready()
    up.process.send_signal(signal.SIGKILL)
    up.process.wait(30)
    until(lambda: up.left_behind() == [], 30, "all processes of the killed engine are gone")
    up.start()
    up.wait_until_ready()
    assert up.interrupt() == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's PostgreSQL runs as another user")
def test_root_starts_it_from_a_bare_environment_and_its_postgresql_runs_as_a_user_without_a_name(tmp_path):
    with closing(Up.by_script(tmp_path, ECE_BCRYPT_COST="4")) as up:
        up.start()
        up.wait_until_ready()
        postgres = psutil.Process(up.child("postgres"))
        with pytest.raises(KeyError):
            pwd.getpwuid(postgres.uids().real)
        assert {path.stat().st_uid for path in up.data_dir.postgres.rglob("*")} == {postgres.uids().real}
        assert up.interrupt() == 0
        # What a backup brought back belongs to root.
        for path in (up.data_dir.postgres, *up.data_dir.postgres.rglob("*")):
            os.chown(path, 0, 0)
        up.start()
        up.wait_until_ready()
        assert up.interrupt() == 0


def test_a_second_engine_on_the_same_data_is_refused_with_the_place_of_the_first(engine, tmp_path):
    second = Up(tmp_path, ECE_DATA_DIR=str(engine.data_dir.path))
    second.start()
    assert second.process.wait(60) == 1
    pid = engine.data_dir.read_state().pid
    assert f"already runs on {engine.data_dir.path}: process {pid}, {engine.base_url} (ready)" in second.output
    engine.wait_until_ready()


def test_a_taken_port_is_said_before_anything_is_started(engine, tmp_path):
    port = engine.base_url.rpartition(":")[2]
    other = Up(tmp_path, ECE_PORT=port)
    other.start()
    assert other.process.wait(60) == 1
    assert f"Port {port} on 127.0.0.1 is taken by" in other.output
    assert f"(process {engine.children()['gateway']})" in other.output
    assert not other.data_dir.postgres.exists()


def test_data_of_another_postgresql_are_refused_and_left_alone(up):
    up.data_dir.postgres.mkdir(parents=True)
    version = up.data_dir.postgres / "PG_VERSION"
    version.write_text("16\n")
    up.start()
    assert up.process.wait(STOPPED_WITHIN_S + 15) == 1
    assert "was made by PostgreSQL 16; this engine brings PostgreSQL 18" in up.output
    assert [path.name for path in up.data_dir.postgres.iterdir()] == ["PG_VERSION"]
    assert version.read_text() == "16\n"


def test_files_without_a_database_in_its_place_are_refused_and_left_alone(up):
    up.data_dir.postgres.mkdir(parents=True)
    (up.data_dir.postgres / "mine.txt").write_text("precious")
    up.start()
    assert up.process.wait(STOPPED_WITHIN_S + 15) == 1
    assert "holds files but no PostgreSQL database" in up.output
    assert (up.data_dir.postgres / "mine.txt").read_text() == "precious"


def test_a_database_that_is_not_there_is_said_without_its_password(up, tmp_path):
    url = f"postgresql://ann:hunter2@/ece?host={tmp_path}"
    mine = Up(tmp_path, ECE_DATABASE_URL=url)
    mine.start()
    assert mine.process.wait(60) == 1
    assert "PostgreSQL at postgresql://ann:***@/ece" in mine.output
    assert "can't be reached" in mine.output
    assert "hunter2" not in mine.output
    assert mine.left_behind() == []


async def test_a_block_uses_the_engine_that_runs_and_leaves_it_running(engine: SharedEngine, tmp_path):
    settings = load_settings(data_dir=engine.data_dir.path)
    with (tmp_path / "said").open("w") as said:
        async with running_engine(settings, Console(file=said)) as mine:
            assert (mine.base_url, mine.key_secrets) == (engine.base_url, engine.key_secrets)
            accounts = await mine.accounts.provision(["block_bidder"])
    assert accounts["block_bidder"].username == "block_bidder"
    engine.wait_until_ready()


def test_the_doctor_finds_a_running_engine_whole(engine):
    told = subprocess.run(
        [sys.executable, "-m", "ece.cli", "doctor"],
        env={**os.environ, "ECE_DATA_DIR": str(engine.data_dir.path), "COLUMNS": "200"},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert told.returncode == 0, told.stdout + told.stderr
    for part in ("PostgreSQL 18", "schema up to date", f"{engine.base_url} is ready", *NAMES):
        assert part in told.stdout
