from pathlib import Path

import pytest

from tests.support.stacks.page_commands import Clone
from tests.support.stacks.page_session import reading


def play(page: str, folder: Path) -> None:
    with reading(Clone(folder), {}, limit_s=60) as reader:
        reader.play(page)


def test_a_terminal_keeps_variables_and_folder_and_another_one_has_neither(tmp_path: Path):
    play(
        """
Files go where the terminal is:

    mkdir below && cd below
    WORD=kept

`it.txt`:

```sh
held
```

```toml
shown = "and not written"
```

    cat it.txt && echo $WORD

```text
held
...
kept
```

<!-- another terminal -->

    test -z "$WORD" && test -e below/it.txt
""",
        tmp_path,
    )


def test_a_block_in_the_background_runs_until_ctrl_c(tmp_path: Path):
    # One process both prints and is ended: a signal that comes while bash starts the next one is lost.
    play(
        """
<!-- until Ctrl-C: "begun" -->

    echo begun >printed.txt; tail -f printed.txt

Beside it:

    echo it goes on >>printed.txt

<!-- shows: it \\w+ on -->

```text
it goes on
```

<!-- Ctrl-C -->
""",
        tmp_path,
    )


@pytest.mark.parametrize(
    "page",
    [
        "\n\n    false\n",
        "\n\n    false\n    true\n",
        "\n\n    echo one\n\n```text\ntwo\n```\n",
        "\n\n<!-- fails -->\n\n    true\n",
        "\n\n<!-- Ctrl-C -->\n",
    ],
)
def test_what_goes_otherwise_than_a_page_says_fails_it(page: str, tmp_path: Path):
    with pytest.raises(AssertionError):
        play(page, tmp_path)


def test_what_is_not_compared_or_has_to_fail_may_differ(tmp_path: Path):
    play("\n\n<!-- fails -->\n\n    false\n\n<!-- not compared -->\n\n```text\nx\n```\n", tmp_path)
