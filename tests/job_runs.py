"""Running the jobs that are due, as a worker would, and without one."""

import asyncio
import itertools

from actors.hosting.host import Host
from actors.stream.messages import Answer, Command
from actors.workers.job import Job
from persistence.jobs.store import JobStore, PutBack
from persistence.postgres.pool import Pool

_numbers = itertools.count(1)


class DirectHost:
    """Straight to one host, as the router would where it owns everything."""

    def __init__(self, host: Host) -> None:
        self._host = host

    async def ask(self, request: Command, timeout_s: float = 5.0) -> Answer:
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

        def reply(_: int, answer: Answer) -> None:
            if not answered.done():
                answered.set_result(answer)

        self._host.submit(request, next(_numbers), reply)
        return await asyncio.wait_for(answered, timeout_s)


async def run_due(pool: Pool, job: Job, within_s: float = 30.0) -> None:
    """Until no job of this kind is due. Raises what the job raises; its jobs are due again at once then."""
    jobs = JobStore(pool, lease_ms=0)
    async with asyncio.timeout(within_s):
        while claimed := await jobs.claim({job.kind: job.batch_max}, "test"):
            later = {one.job.key: one for one in await job.run(claimed)}
            await jobs.complete([one for one in claimed if one.key not in later])
            await jobs.put_back([PutBack(one.job, 0, 0) for one in later.values()])
