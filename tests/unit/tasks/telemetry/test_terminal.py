"""What others wrote is printed without what a terminal would obey."""

import io
import json
import logging

import pytest
import structlog

from tasks.settings import Settings
from tasks.telemetry.logs import configure_logging
from tasks.telemetry.terminal import one_line, printable, printable_json

#: A title, an erased screen, a colour by one character, text that runs backwards, a line that is overwritten.
OBEYED = ("\x1b]0;owned\x07", "\x1b[2J", "\x9b31m", "\u202e", "\r", "\x08", "\x7f", "\U000e0001", "\ud800")


@pytest.mark.parametrize("obeyed", OBEYED)
def test_what_a_terminal_obeys_is_escaped(obeyed: str):
    for shown in (printable(f"a{obeyed}b\n\tc"), one_line(f"a{obeyed}b\tc")):
        assert all(c.isprintable() or c in "\n\t" for c in shown)
        assert (shown[0], shown[-1]) == ("a", "c")


def test_all_that_people_write_stays_as_it_is():
    text = "币安/人生 → [/b] ü ½ €\t:boom:\n'\\x1b'"
    assert printable(text) == text
    assert one_line(text) == text.replace("\n", "\\n")


@pytest.mark.parametrize("obeyed", OBEYED[:-1])
def test_json_means_the_same_afterwards(obeyed: str):
    value = {f"a{obeyed}": [obeyed, "币", 1]}
    packed = json.dumps(value, ensure_ascii=False, indent=2)
    shown = printable_json(packed)
    assert json.loads(shown) == value
    assert all(c.isprintable() or c == "\n" for c in shown)


@pytest.mark.parametrize("form", ["console", "json"])
def test_no_line_of_the_log_is_obeyed_or_passes_for_two(form: str, monkeypatch: pytest.MonkeyPatch):
    written = io.StringIO()
    monkeypatch.setattr("sys.stderr", written)
    configure_logging(Settings(log_format=form), "ingest")
    obeyed = "".join(OBEYED[:-1])
    structlog.get_logger().warning(f"refused{obeyed}", subject=f"a{obeyed}", symbols=[obeyed], raw=obeyed.encode())
    logging.getLogger("celery").warning("said %s", f"{obeyed}\n2026-11-28 [error] all is lost")
    assert len(written.getvalue().splitlines()) == 2
    structlog.get_logger().error("failed", exc_info=ValueError(obeyed))
    assert "owned" in written.getvalue()
    assert all(c.isprintable() or c in "\n\t" for c in written.getvalue())
