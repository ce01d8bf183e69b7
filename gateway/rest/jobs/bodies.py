"""Jobs as operators see them."""

from typing import Any, Literal

import msgspec
from pydantic import BaseModel

from persistence.jobs.store import JobRecord

JobState = Literal["waiting", "running", "dead"]


class JobItem(BaseModel):
    """A job. It runs at ``run_at`` (ms) at the earliest; a running one has a lease until then."""

    kind: str
    key: str
    state: JobState
    payload: Any
    run_at: int
    created_at: int
    attempts: int
    error: str | None
    worker: str | None


class JobPage(BaseModel):
    """A page of jobs, by kind and key."""

    items: list[JobItem]
    next_cursor: str | None


def job_json(job: JobRecord) -> dict[str, Any]:
    """The fields of JobItem."""
    payload = msgspec.json.decode(job.payload) if job.payload else None
    return msgspec.structs.asdict(job) | {"payload": payload}
