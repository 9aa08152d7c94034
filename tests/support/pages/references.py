"""What tests look for in pages."""

from html.parser import HTMLParser


class References(HTMLParser):
    """Everything that a browser would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str | None] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 the base's name
        self.found += [value for name, value in attrs if name in {"src", "href", "srcset", "data"}]
