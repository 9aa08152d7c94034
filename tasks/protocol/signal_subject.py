"""The NATS subject of a signal, made of a template such as SIGNAL_SUBJECT. Pure."""

from tasks.frames import symbols

#: NATS ends a connection whose line is longer than 4,096 bytes.
MAX_SUBJECT_BYTES = 1_024


def fill(template: str, *, strategy: str, symbol: str, action: str, venue: str) -> str:
    """Return the subject of a signal, which may be none that NATS takes."""
    return template.format(
        strategy=_token(strategy), symbol=symbols.token(symbol), action=action, venue=symbols.token(venue)
    )


def is_subject(subject: str) -> bool:
    """Return whether NATS takes a message under `subject`: it ends the connection over some that it does not take."""
    return len(subject.encode()) <= MAX_SUBJECT_BYTES and all(
        token and token.isprintable() and not set(token) & set("*> ") for token in subject.split(".")
    )


def _token(name: str) -> str:
    """Return the name as one NATS token: `_` for each sign that a token can't have."""
    return "".join("_" if sign in ".*> \t:" else sign for sign in name)
