"""Reference pages that are made from the code: what they say is what is there."""

from collections.abc import Callable

from website.reference import (
    alerts,
    commands,
    http_api,
    metrics,
    python,
    settings,
    signals,
    strategies,
    strategies_file,
)

#: By place on the site.
PAGES: dict[str, Callable[[], str]] = {
    "reference/settings.md": settings.page,
    "reference/commands.md": commands.page,
    "reference/metrics.md": metrics.page,
    "reference/alerts.md": alerts.page,
    "reference/python.md": python.page,
    "reference/http-api.md": http_api.page,
    "reference/strategies.md": strategies.page,
    "reference/strategies-file.md": strategies_file.page,
    "reference/signals.md": signals.page,
}
#: Files that they link to, beside those that the pages of docs/ do.
SOURCES = (".env.example", alerts.RULES, "tasks/strategies.toml")
