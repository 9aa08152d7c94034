"""`./run demo`: start everything, feed it, show what comes out, end it in order, sum it up."""

import asyncio
import os
import shlex
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from functools import partial
from pathlib import Path
from types import FrameType
from typing import NamedTuple, NoReturn

from nats.aio.msg import Msg
from nats.errors import Error

from compose.local.processes import Instance, LocalStackError, Process
from compose.local.recorder import recording
from compose.local.screen import Screen
from compose.local.servers import HOST, free_port
from compose.local.stack import Plan, Stack
from tasks.clients.nats_client import NatsClient
from tasks.ledger import summary
from tasks.settings import load

#: What `./run tasks` needs to reach the demo, beside a strategies file of one's own.
_REACHED_BY = ("NAMESPACE", "NATS_URL", "REDIS_URL", "HTTP_PORT")
#: Killed and started again, Redis has what it had a second before; and it refuses before the machine's memory is full.
_REDIS_OPTIONS = ("--appendonly", "yes", "--maxmemory", "2gb")
_POLL_S = 0.05
_FEED_STOP_S = 20.0
_ENDING = (signal.SIGINT, signal.SIGTERM)
#: How a process ends that was told to, or had done all.
_ENDED_WELL = {0, -signal.SIGTERM, 128 + signal.SIGTERM}

#: Handler of a signal that ends everything, here and now.
AtOnce = Callable[[int, FrameType | None], NoReturn]


class Request(NamedTuple):
    """What the command line asked for."""

    plan: Plan
    #: Arguments of `./run ingest` that make the feed.
    feed: Sequence[str]
    #: How long to feed; infinite: until the feed ends or Ctrl-C.
    seconds: float
    flower_port: int | None
    #: A new recording of what is fed.
    record: Path | None = None


class Session:
    """From the start of the feed to the end of ingest."""

    def __init__(self, stack: Stack, screen: Screen, at_once: AtOnce) -> None:
        """Take a stack that is ready, and what a second Ctrl-C calls."""
        self._stack = stack
        self._at_once = at_once
        self._screen = screen
        #: The signal that asked for the end; 0: none.
        self.interrupted = 0

    async def run(self, request: Request) -> None:
        """Feed, show signals, then end feed and ingest in order."""
        loop = asyncio.get_running_loop()
        for number in _ENDING:
            loop.add_signal_handler(number, self._interrupt, number)
        client = NatsClient(self._stack.settings)
        await client.open("demo", _ignore)
        await client.subscribe("signals.>", cb=self._show)
        await client.flush()
        async with recording(self._stack.settings, request.record) if request.record else nullcontext() as recorder:
            feed = self._stack.start_feed(request.feed)
            over = partial(self._is_over, feed, recorder)
            await self._follow(feed, over, request.seconds)
            await self._end_feed(feed)
        await self._end_ingest(feed)
        # NATS may have gone: what is shown may lack signals then, the summary does not.
        with suppress(Error):
            await client.drain()
        await client.close()
        self._screen.tick(time.monotonic() + 1)

    def _is_over(self, feed: Process, recorder: asyncio.Task[None] | None) -> bool:
        """Whether the feed has ended, was told to, or is recorded no longer."""
        return feed.returncode is not None or bool(self.interrupted) or bool(recorder and recorder.done())

    def _interrupt(self, number: int) -> None:
        self.interrupted = number
        for each in _ENDING:
            asyncio.get_running_loop().remove_signal_handler(each)
        _on_ending(self._at_once)

    async def _show(self, message: Msg) -> None:
        self._screen.signal(message.data, time.monotonic())

    async def _follow(self, feed: Process, until: Callable[[], bool], timeout_s: float) -> bool:
        """Keep everything running and shown until something is so; return whether it was so in time."""
        deadline_s = time.monotonic() + timeout_s
        while not (reached := until()) and time.monotonic() < deadline_s:
            for line in [*self._stack.instance.watch(), *feed.new_lines()]:
                self._screen.say(line)
            self._screen.tick(time.monotonic())
            await asyncio.sleep(_POLL_S)
        return reached

    async def _end_feed(self, feed: Process) -> None:
        if feed.returncode is None:
            feed.terminate()
            if not await self._follow(feed, lambda: feed.returncode is not None, _FEED_STOP_S):
                self._stack.instance.kill(feed)
        if feed.returncode not in _ENDED_WELL:
            raise self._stack.instance.failure(feed)

    async def _end_ingest(self, feed: Process) -> None:
        ingest = self._stack.ingest
        self._screen.say("The feed has ended; finishing what is in flight.")
        ingest.terminate()
        await self._follow(feed, lambda: ingest.returncode is not None, 3 * self._stack.settings.ingest_drain_s + 10)


def run(request: Request, screen: Screen) -> int:
    """Run the demo; return the exit status. Raises RealtimeStrategiesError."""
    with Instance("demo") as instance:

        def at_once(number: int, _: FrameType | None) -> NoReturn:
            # Not by an exception: raised at the wrong moment, in a finalizer say, it would be lost.
            screen.say("Stopped at once.")
            instance.close()
            os._exit(128 + number)

        _on_ending(at_once)
        return _run(request, screen, instance, at_once)


def _reached_by(stack: Stack) -> dict[str, str]:
    """Return the environment under which other commands see the same pipeline."""
    own = {"STRATEGIES_FILE": str(load().strategies_file.resolve())} if os.environ.get("STRATEGIES_FILE") else {}
    return {name: stack.environment[name] for name in _REACHED_BY} | own


def _run(request: Request, screen: Screen, instance: Instance, at_once: AtOnce) -> int:
    screen.say("Starting NATS, Valkey, ingest, workers and Flower ...")
    # Chosen first, so that the page knows where Flower will be.
    port = request.flower_port or free_port()
    environment = {"FLOWER_URL": f"http://{HOST}:{port}", **request.plan.environment}
    stack = Stack(instance, request.plan._replace(environment=environment, redis_options=_REDIS_OPTIONS))
    stack.wait_until_ready()
    flower_url = stack.start_flower(port)
    stack.wait_until_workers_are_known()
    ingest_url = f"http://127.0.0.1:{stack.http_port}"
    screen.welcome(
        {
            "page": f"{ingest_url}/",
            "Flower": flower_url,
            "ingest": f"{ingest_url}/ready  {ingest_url}/metrics",
            "NATS": f"{stack.nats_url}  (signals on signals.>)",
            "Redis": stack.redis_url,
            "logs": f"{os.path.relpath(instance.directory)}/*.log",
            "env": " ".join(f"{name}={shlex.quote(value)}" for name, value in _reached_by(stack).items()),
        }
    )
    started_s = time.monotonic()
    session = Session(stack, screen, at_once)
    asyncio.run(session.run(request))
    _on_ending(at_once)
    screen.summary(summary.read(stack.settings), time.monotonic() - started_s)
    if stack.ingest.returncode not in _ENDED_WELL:
        raise LocalStackError(
            f"something was left undone: ingest {stack.ingest.ended}; its log ends with:{stack.ingest.tail()}"
        )
    instance.stop(stack.flower, *stack.workers)
    return 128 + session.interrupted if session.interrupted else 0


def _on_ending(handler: AtOnce) -> None:
    for number in _ENDING:
        signal.signal(number, handler)


async def _ignore(_: Exception) -> None:
    """The client reports what the demo sees anyway: that a server process has ended."""
