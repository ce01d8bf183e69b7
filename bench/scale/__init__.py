"""How far the engine scales: measured constants, a closed-form model of a cluster, and a simulation that checks it."""
