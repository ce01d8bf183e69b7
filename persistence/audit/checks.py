"""The periodic check of the audit trail: its newest part, what became of its end, and a part of the rest each time."""

import asyncpg
import msgspec

from domain.audit import Finding, Head, check
from domain.ids import id_text
from persistence.audit.chain import AuditChain
from persistence.audit.trail import AuditCheck
from persistence.postgres.guard import guarded

# The most links that a run reads: of the newest part, and of the rest.
LINKS_MAX = 1_000
FINDINGS_MAX = 20


class _Noted(msgspec.Struct, frozen=True):
    """What the run before has left."""

    head: Head = Head()
    walked: int = 0
    findings: tuple[str, ...] = ()


_NOTED = "SELECT position, hash, walked, findings FROM audit_checks"
_NOTE = """
    INSERT INTO audit_checks (checked_at, position, hash, walked, findings) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (only_one) DO UPDATE SET checked_at = excluded.checked_at, position = excluded.position,
        hash = excluded.hash, walked = excluded.walked, findings = excluded.findings
"""


class AuditChecks:
    """Checks the chain a part at a time. Every method may raise StoreUnavailable."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._chain = AuditChain(pool)

    async def run(self, now_ms: int) -> AuditCheck:
        """Check what is newest, and the next part of the rest. What was found stays found until it is acknowledged."""
        row = await guarded(self._pool.fetchrow(_NOTED))
        noted = _Noted() if row is None else _Noted(Head(row[0], row[1]), row[2], tuple(row[3]))
        head = await self._chain.head()
        found = [*await self._of_end(head, noted.head), *await self._part(max(0, head.position - LINKS_MAX))]
        walked = noted.walked if noted.walked < head.position else 0
        found += await self._part(walked)
        texts = list(dict.fromkeys([*noted.findings, *map(_text, found)]))[:FINDINGS_MAX]
        # A chain that was cut stays compared with its end of before.
        end = head if not found else noted.head
        walked = min(walked + LINKS_MAX, head.position)
        await guarded(self._pool.execute(_NOTE, now_ms, end.position, end.hash, walked, texts))
        return AuditCheck(now_ms, tuple(texts))

    async def acknowledge(self) -> int:
        """Empty the findings, and begin again from the end as it is now; returns how many there were."""
        head = await self._chain.head()
        row = await guarded(
            self._pool.fetchrow(
                "WITH before AS (SELECT cardinality(findings) AS count FROM audit_checks)"
                " UPDATE audit_checks SET findings = '{}', position = $1, hash = $2, walked = 0"
                " RETURNING (SELECT count FROM before)",
                head.position,
                head.hash,
            )
        )
        return 0 if row is None else int(row[0])

    async def _of_end(self, head: Head, noted: Head) -> list[Finding]:
        """Whether the chain still has the end that was noted."""
        if noted.position == 0:
            return []
        if head.position < noted.position:
            return [Finding("head", None, f"the chain ends at link {head.position}, before link {noted.position}")]
        links = await self._chain.links(noted.position - 1, 1)
        if not links or (links[0].position, links[0].hash) != (noted.position, noted.hash):
            return [Finding("head", None, f"link {noted.position} is not the one that was noted")]
        return []

    async def _part(self, after: int) -> list[Finding]:
        """What is wrong with the links after this position, LINKS_MAX at most."""
        links = await self._chain.links(max(0, after - 1), LINKS_MAX + 1)
        head = Head()
        if after and links:
            first, *links = links
            head = Head(first.position, first.hash)
        found: list[Finding] = []
        for link in links:
            found += check(head, link)
            head = Head(link.position, link.hash)
        return found[:FINDINGS_MAX]


def _text(finding: Finding) -> str:
    entry = "" if finding.entry_id is None else f" {id_text(finding.entry_id)}"
    return f"{finding.kind}{entry}: {finding.detail}"
