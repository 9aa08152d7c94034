"""Runs a lane up to the event that a signal answers. Pure: it is given frames, whoever reads them."""

from tasks.events import AnyEvent
from tasks.frames.plausibility import DEFAULT_LIMITS, PlausibilityLimits
from tasks.why.lane import LaneReader, SourceFrame, StrategyLane
from tasks.why.lane_replay import Decision, LaneReplay, StrategyOf
from tasks.why.question import Question
from tasks.why.timeline import Timeline
from tasks.why.unseen import ALL_SEEN, UnseenEvents, key_of


class SignalReplay:
    """The replay for one signal."""

    def __init__(
        self,
        question: Question,
        lane: StrategyLane,
        strategy_of: StrategyOf,
        timeline: Timeline,
        limits: PlausibilityLimits = DEFAULT_LIMITS,
        unseen: UnseenEvents = ALL_SEEN,
    ) -> None:
        """Start before the first frame."""
        self.question, self.lane, self.timeline = question, lane, timeline
        self._reader, self._unseen = LaneReader(lane, limits), unseen
        self._replay = LaneReplay(lane.pool.name, strategy_of)
        #: Once the event has come.
        self.decision: Decision | None = None
        #: The event of the same record that came instead: behind it the signal's own would be a repeat.
        self.passed_by: AnyEvent | None = None

    @property
    def events(self) -> int:
        """How many events of the lane there were, the signal's included."""
        return self._replay.events

    @property
    def is_over(self) -> bool:
        """Whether nothing more is needed of the source."""
        return self.decision is not None or self.passed_by is not None

    def take(self, frame: SourceFrame) -> bool:
        """Take the next frame; return whether it was the last one that is needed."""
        event = self._reader.read(frame)
        if event is None:
            return False
        version = self.timeline.version(event)
        if version is None or key_of(event) in self._unseen.quarantined:
            return False
        if self.question.is_answered_by(event):
            self.decision = self._replay.decide(event, version)
        elif self.question.is_past(event):
            self.passed_by = event
        elif key_of(event) in self._unseen.excluded:
            self._replay.exclude(event, version)
        else:
            self._replay.take(event, version)
        return self.is_over
