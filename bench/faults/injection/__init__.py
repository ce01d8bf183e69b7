"""What is done to a running engine: faults of processes, connections, clocks, disks and hosts, from a seed."""
