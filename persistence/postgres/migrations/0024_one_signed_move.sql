-- Of two actors that sign a move of one copy, one stores it and may send it.
CREATE UNIQUE INDEX chain_jobs_moving_once ON chain_jobs (moved_copy) WHERE moved_copy IS NOT NULL AND state = 'signed';
