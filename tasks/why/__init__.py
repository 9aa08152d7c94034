"""Why a signal was sent: the one lane that led to it is run again, up to the event that it answers.

Commands use it. It knows the engine, frames, histories and the ledger; what replays and compares is pure, and
`recording_frames`, `stream_frames` and `stored_signals` fetch what it works on.
"""

from tasks.why.question import Question
from tasks.why.signal_replay import SignalReplay

__all__ = [
    "Question",
    "SignalReplay",
    "answer",
    "comparison",
    "configured",
    "id_search",
    "investigation",
    "known",
    "lane",
    "lane_replay",
    "numbers",
    "question",
    "recording_frames",
    "signal_replay",
    "stored_signals",
    "stream_frames",
    "timeline",
    "unseen",
]
