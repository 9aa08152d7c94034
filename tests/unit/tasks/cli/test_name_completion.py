"""Names for a shell: none where they take too long or can't be found, and no error in any case."""

from threading import Event

from tasks.cli import name_completion


def test_names_that_take_too_long_are_none():
    never = Event()
    assert name_completion.within(0.01, lambda: [str(never.wait())]) == []
    never.set()


def test_what_can_t_be_found_is_no_error():
    def exits() -> list[str]:
        raise SystemExit(1)

    assert name_completion.within(60, exits) == []
    assert name_completion.within(60, lambda: ["iceberg"]) == ["iceberg"]
