"""Operations on a running pipeline: looks at it, edits of its configuration, retries of letters, changes of its states.

Used by the command line and by ingest's HTTP API, and by Flower for its queue lengths. It knows the ledger, the clients
and the engine's states.
"""

__all__ = [
    "configuration_edits",
    "dead_letter_facts",
    "delivery_findings",
    "doctor_checks",
    "doctor_facts",
    "doctor_probes",
    "entry_filters",
    "flower_queues",
    "flower_server",
    "flower_shutdown",
    "ledger_parts",
    "ledger_probes",
    "prune_plan",
    "record_reset",
    "retry",
    "seed_plan",
    "state_prune",
    "state_reset",
    "state_seed",
    "states",
    "time_arguments",
    "warm_ups",
]
