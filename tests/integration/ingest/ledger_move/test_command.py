"""The command that moves a ledger, as a person calls it."""

from pathlib import Path

from tests.support.moves.ledgers import PARTITIONS, clients, contents, fill, keys_of, urls
from tests.support.starting import start

NEVER = {"NATS_PARTITIONS": "64", "INGEST_SHARD": "0/2"}


def call(ledgers: str, namespace: str, *words: str, **more: str) -> tuple[int, str, str]:
    """Call `./run ingest move-ledger` for new ledgers; return exit status, output and errors."""
    environment = NEVER | {"LEDGER_URLS": ledgers, "NAMESPACE": namespace} | more
    done = start(["ingest", "move-ledger", *words], environment)
    return done.returncode, done.stdout, done.stderr


def test_it_moves_a_ledger_and_says_so_and_a_second_time_it_does_nothing(redis_url: str, namespace: str):
    old, new = urls(redis_url, 1), urls(redis_url, 1, 2)
    fill(old, namespace)
    before = contents(old, namespace)
    status, said, errors = call(new, namespace, "--from", old, "--yes", "--reason", "growth")
    assert (status, errors) == (0, "")
    assert said.startswith("moved ")
    assert said.endswith("start all shards\n")
    assert contents(new, namespace) == before
    status, said, _ = call(new, namespace, "--from", old, "--yes")
    assert (status, said.partition(":")[0]) == (0, "nothing to move")


def test_it_asks_first_and_shows_no_login(redis_url: str, namespace: str):
    old, new = urls(redis_url, 1), urls(redis_url, 1, 2)
    fill(old, namespace)
    # Without a password of its own, the server takes any login of its default user.
    logged_in = old.replace("//", "//default:hunter2@")
    status, said, errors = call(new, namespace, LEDGER_FROM=logged_in)
    assert status == 1
    assert "move the ledger from 127.0.0.1" in errors
    assert "hunter2" not in said + errors
    with clients(new) as servers:
        assert not keys_of(servers[1], namespace)
        assert not servers[0].exists(f"{namespace}:moving")


def test_a_file_says_where_the_ledger_is(redis_url: str, namespace: str, tmp_path: Path):
    fill(urls(redis_url, 1), namespace)
    file = tmp_path / "ledger"
    file.write_text(urls(redis_url, 1) + "\n")
    status, said, _ = call(urls(redis_url, 3, 2), namespace, "--yes", LEDGER_FROM_FILE=str(file))
    assert (status, said[:5]) == (0, "moved")


def test_a_refusal_is_one_line(redis_url: str, namespace: str):
    new = urls(redis_url, 1, 2)
    refusals = [
        call(new, namespace, "--from", urls(redis_url, 1), "--yes"),
        call(new, namespace, "--from", "redis://:hunter2@127.0.0.1:1/0", "--yes"),
        call(new, namespace, "--from", urls(redis_url, 1), "--yes", NATS_PARTITIONS=str(PARTITIONS + 1)),
        call(new, namespace, "--from", "hunter2", "--yes"),
    ]
    for status, said, errors in refusals:
        assert (status, said) == (1, "")
        assert errors.startswith("error: ")
        assert errors.count("\n") == 1
        assert "hunter2" not in errors
