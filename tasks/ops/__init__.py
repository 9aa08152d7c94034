"""Operations: what commands do to a running pipeline: the doctor's looks, states shown, reset, seeded and pruned, letters retried.

Used by the command line, and by Flower for its queue lengths. It knows the ledger, the clients and the engine's states.
"""

__all__ = [
    "doctor_checks",
    "doctor_facts",
    "doctor_probes",
    "flower_queues",
    "flower_server",
    "flower_shutdown",
    "prune_plan",
    "record_reset",
    "retry",
    "seed_plan",
    "state_prune",
    "state_seed",
    "states",
]
