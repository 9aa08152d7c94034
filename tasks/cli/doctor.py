"""`./run tasks doctor`: checks everything that a pipeline needs, and prints what is wrong and what to do."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain
from typing import TypeVar

import typer
from rich.text import Text

from tasks import invocation
from tasks.cli import command_line
from tasks.cli.command_line import AsJson
from tasks.clients.redis_client import FAILED
from tasks.configuration import Configuration
from tasks.errors import SettingsError
from tasks.ledger import configurations
from tasks.ops import doctor_checks
from tasks.protocol.findings import Finding
from tasks.settings import Settings, load
from tasks.telemetry.terminal import one_line

app = typer.Typer()

T = TypeVar("T")

_STYLES = {"ok": "green", "warning": "yellow", "fault": "bold red"}


@app.command("doctor")
def doctor_(*, as_json: AsJson = False) -> None:
    """Look at settings, servers, queues, workers, clocks and ports; say what is wrong and what to do.

    Changes nothing, and takes a few seconds when something does not answer. Exit status 1 when there is a fault.
    """
    console = command_line.Console()
    signs = set()
    for finding in (found.with_hint(invocation.as_called) for found in examine()):
        signs.add(finding.sign)
        if as_json:
            command_line.echo_json(finding)
        else:
            console.print(_line(finding), soft_wrap=True)
    raise typer.Exit(int("fault" in signs))


def _line(finding: Finding) -> Text:
    line = Text.assemble(
        (f"{finding.sign:<8}", _STYLES[finding.sign]), (one_line(f"{finding.what}: "), "bold"), one_line(finding.says)
    )
    return line.append(one_line(f" → {finding.do}"), "cyan") if finding.do else line


def examine() -> Iterator[Finding]:
    """Yield the findings of all checks, in the order in which they are printed."""
    try:
        settings = load()
    except SettingsError as error:
        for fault in _faults(error):
            yield Finding("fault", "settings", fault, "`./run tasks config show` lists every setting")
        return
    hints = settings.hints()
    yield from (Finding("warning", "settings", hint) for hint in hints)
    if not hints:
        given = ", ".join(sorted(name.upper() for name in settings.model_fields_set)) or "none: all by default"
        yield Finding("ok", "settings", f"given: {given}")
    chosen: Configuration | None = None
    try:
        chosen = configurations.read_file(settings.strategies_file)
    except SettingsError as error:
        for fault in _faults(error):
            yield Finding("fault", "strategies", fault, f"fix {settings.strategies_file}")
    if chosen:
        yield doctor_checks.strategies(chosen)
    yield from _server_findings(settings, chosen)


def _faults(error: SettingsError) -> list[str]:
    return list(error.faults) or [str(error)]


def _server_findings(settings: Settings, chosen: Configuration | None) -> Iterator[Finding]:
    """Query all servers at once, so that the timeouts of unavailable ones run concurrently."""
    from tasks.ops import delivery_findings, doctor_probes, ledger_probes  # noqa: PLC0415 they bring NATS, which few commands need

    pools = chosen.routes() if chosen else ()
    with ThreadPoolExecutor() as threads:
        servers = {
            url: threads.submit(doctor_probes.ask_redis, settings, url, roles)
            for url, roles in doctor_probes.servers(settings).items()
        }
        nats = threads.submit(doctor_probes.ask_nats, settings)
        queues = threads.submit(doctor_probes.ask_queues, settings, pools)
        ledger = threads.submit(ledger_probes.ask_ledger, settings, pools)
        delivering = threads.submit(delivery_findings.ask, settings)
        foreign = threads.submit(ledger_probes.ask_foreign_keys, settings, pools)
        ports = [
            threads.submit(doctor_probes.ask_port, setting, settings.http_host, port)
            for setting, port in (("HTTP_PORT", settings.http_port), ("WORKER_HTTP_PORT", settings.worker_http_port))
        ]
        up = {url for url, server in servers.items() if not server.result().unavailable}
        nats_facts, port_facts = nats.result(), [port.result() for port in ports]
        yield from doctor_checks.once(
            chain.from_iterable(
                doctor_checks.redis(server.result(), allows_eviction=settings.ingest_allow_eviction)
                for server in servers.values()
            ),
            doctor_checks.nats(nats_facts),
            _diagnosed("broker", queues, lambda facts: doctor_checks.queues(facts, pools))
            if settings.broker in up
            else (),
            _diagnosed("ledger", foreign, iter) if settings.ledger in up else (),
            _diagnosed("ledger", ledger, lambda facts: doctor_checks.ledger(facts, chosen, settings.namespace))
            if settings.ledger in up
            else (),
            _diagnosed("ledger", delivering, delivery_findings.findings) if settings.ledger in up else (),
            *(status.findings or () for status in nats_facts.ingest),
            *(facts.findings for facts in port_facts),
            map(doctor_checks.port, port_facts),
        )


def _diagnosed(role: str, asked: Future[T], diagnose: Callable[[T], Iterable[Finding]]) -> Iterator[Finding]:
    """Yield the findings about an answer, or why there is none."""
    try:
        facts = asked.result()
    except (*FAILED, ValueError) as error:
        yield Finding("fault", f"Redis ({role})", f"can't be read: {error}", "let this user read, or fix the key")
        return
    yield from diagnose(facts)
