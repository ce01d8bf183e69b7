import pytest

from ece.child_processes import log_files
from ece.child_processes.log_files import last_lines, open_log, rotate


@pytest.fixture(autouse=True)
def small_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_files, "LOG_BYTES_MAX", 10)


def test_the_last_lines_come_without_blank_ones_and_without_secrets(tmp_path):
    path = tmp_path / "x.log"
    path.write_text("one\n\ntwo redis://:hunter2@x\n\nthree\n")
    assert last_lines(path, 2) == ["two redis://:***@x", "three"]
    assert last_lines(path, since=path.stat().st_size) == []
    assert last_lines(tmp_path / "none.log") == []


def test_a_big_log_is_moved_away_at_the_next_start_and_only_some_are_kept(tmp_path):
    path = tmp_path / "x.log"
    for number in range(6):
        with open_log(path) as log:
            log.write(f"start {number} ............\n".encode())
    assert sorted(file.name for file in tmp_path.iterdir()) == ["x.log", "x.log.1", "x.log.2", "x.log.3"]
    assert "start 5" in path.read_text()
    assert "start 4" in (tmp_path / "x.log.1").read_text()


def test_a_log_is_rotated_under_its_writer_who_goes_on(tmp_path):
    path = tmp_path / "x.log"
    with open_log(path) as log:
        log.write(b"a long first line\n")
        assert rotate(path)
        log.write(b"next\n")
    assert path.read_text() == "next\n"
    assert (tmp_path / "x.log.1").read_text() == "a long first line\n"
    assert not rotate(path)
