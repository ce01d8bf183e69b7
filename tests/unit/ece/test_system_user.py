import os
import pwd

import pytest

from ece.child_processes.child import SystemUser
from ece.embedded.system_user import FREE_IDS, give, open_way, user_for_initdb, user_for_postgres
from ece.failure import Failure

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")


def test_new_data_get_a_user_id_that_is_nobodys(tmp_path):
    user = user_for_postgres(tmp_path / "postgres")
    assert user.uid == user.gid
    assert user.uid in FREE_IDS
    with pytest.raises(KeyError):
        pwd.getpwuid(user.uid)


@root_only
def test_data_that_are_there_keep_their_owner_but_not_root(tmp_path):
    os.chown(tmp_path, 1234, 1235)
    assert user_for_postgres(tmp_path) == SystemUser(1234, 1235)
    os.chown(tmp_path, 0, 0)
    assert user_for_postgres(tmp_path).uid in FREE_IDS


def test_who_makes_the_database_has_a_name_and_is_not_root():
    user = user_for_initdb()
    assert pwd.getpwuid(user.uid).pw_name in ("nobody", "daemon")
    assert user.uid != 0


@root_only
def test_everything_is_given_but_where_links_point_to(tmp_path):
    (tmp_path / "data/sub").mkdir(parents=True)
    (tmp_path / "data/sub/file").touch()
    (tmp_path / "mine").touch()
    (tmp_path / "data/link").symlink_to(tmp_path / "mine")
    give(tmp_path / "data", SystemUser(1234, 1235))
    given = [tmp_path / "data", *(tmp_path / "data").rglob("*")]
    assert {(path.lstat().st_uid, path.lstat().st_gid) for path in given} == {(1234, 1235)}
    assert (tmp_path / "mine").stat().st_uid == 0


@root_only
def test_a_hard_link_is_not_given_away(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "mine").touch()
    os.link(tmp_path / "mine", tmp_path / "data/file")
    with pytest.raises(Failure, match="is a hard link"):
        give(tmp_path / "data", SystemUser(1234, 1235))
    assert (tmp_path / "mine").stat().st_uid == 0


def test_the_way_to_programs_and_folders_is_opened_and_said(tmp_path):
    (tmp_path / "closed/pg/bin").mkdir(parents=True, mode=0o700)
    program = tmp_path / "closed/pg/bin/postgres"
    program.touch(mode=0o700)
    (tmp_path / "closed").chmod(0o700)
    said: list[str] = []
    open_way(program.parent, [tmp_path / "closed/data"], said.append)
    assert f"{tmp_path}/closed: other users may now pass through it, as PostgreSQL's user has to" in said
    assert (tmp_path / "closed").stat().st_mode & 0o777 == 0o701
    assert program.stat().st_mode & 0o777 == 0o705
