"""Every table is either exported and deleted with an account, or listed with the reason why not."""

import re
from collections import defaultdict

from persistence.accounts.collecting import BY_HAND
from persistence.accounts.deletions import _REMOVE
from persistence.accounts.personal_tables import IMPERSONAL, KEPT, PERSONAL, REMOVED
from persistence.postgres.pool import Pool

# How columns that name users are called.
NAMES_OF_USERS = re.compile(
    r"(user|owner|seller|buyer|bidder|leader|winner|proposer|counterparty|giver|receiver|requester|creator|actor"
    r"|follower|followed|muted|blocked|bidder)_id|.*_owner|created_by|decided_by|by_operator"
)
_COLUMNS = """
    SELECT table_name, column_name FROM information_schema.columns JOIN information_schema.tables
        USING (table_schema, table_name)
    WHERE table_schema = 'public' AND table_type = 'BASE TABLE'
        AND NOT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = format('%I', table_name)::regclass)
"""
_REFERENCES = """
    SELECT conrelid::regclass::text, attname FROM pg_constraint JOIN pg_attribute ON attrelid = conrelid
        AND attnum = ANY(conkey) WHERE confrelid = 'users'::regclass AND contype = 'f'
"""


async def columns_of(pool: Pool) -> dict[str, set[str]]:
    found = defaultdict(set)
    for table, column in await pool.fetch(_COLUMNS):
        found[table].add(column)
    return dict(found)


async def test_every_table_is_personal_or_impersonal(pool: Pool):
    tables = (await columns_of(pool)).keys()
    assert not PERSONAL.keys() & IMPERSONAL
    assert tables - PERSONAL.keys() - IMPERSONAL == set(), "say in personal_tables.py what exports and deletions do"
    assert (PERSONAL.keys() | IMPERSONAL) - tables == set()


async def test_every_column_that_names_a_user_is_known(pool: Pool):
    columns, references = await columns_of(pool), await pool.fetch(_REFERENCES)
    naming = {(table, one) for table, names in columns.items() for one in names if NAMES_OF_USERS.fullmatch(one)}
    known = {(table, column) for table, personal in PERSONAL.items() for column in personal.columns}
    assert naming | {tuple(row) for row in references} == known


def test_what_is_not_exported_or_not_removed_has_a_reason():
    lacking = {
        name
        for name, table in PERSONAL.items()
        if not table.reason and (table.export is None or table.deletion == KEPT)
    }
    assert lacking == set()


def test_files_have_different_names():
    files = [table.export for table in PERSONAL.values() if table.export is not None]
    assert len(files) == len(set(files))


async def test_every_statement_about_a_personal_table_runs(pool: Pool):
    for name, table in PERSONAL.items():
        await pool.fetch(f"SELECT 1 FROM {name} t WHERE ({table.where()}) AND $1::bigint IS NOT NULL", 1)
    assert set(BY_HAND) < PERSONAL.keys()
    # Those without a column of a user go with the row that they refer to.
    alone = {name for name, table in PERSONAL.items() if table.deletion == REMOVED} - _REMOVE.keys()
    assert alone == {"refresh_tokens", "user_export_pages"}
