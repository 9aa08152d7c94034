"""Writes the passwords of the Compose stack into volumes, once: `python -m compose.passwords DIRECTORY ROLES`.

DIRECTORY keeps all of them; only this program sees it. Below ROLES each role has a folder with its own, which its
service mounts read-only: so no password stands in a file of the project, in an environment or in a command line, and a
role that is broken into gives away no other's. REDIS_PASSWORD, FLOWER_BASIC_AUTH (user:password) and GRAFANA_PASSWORD
set them; what is not set is made up at random the first time, and stays.

    redis      redis, the password of its default user, and redis.conf, for the server to include
    ingest     redis_url, for REDIS_URL_FILE, of a user that may do what ingest and the commands that run there need
    worker     redis_url, of a user that may do what workers need
    research   redis_url, of a user that may do what workers of sweeps, and the command `sweep`, need
    deliver    redis_url, of a user that may do what deliveries of signals need
    flower     redis_url, of a user that may do what Flower needs; flower, user:password of its page
    grafana    grafana, the password of its admin
"""

import argparse
import os
import re
import secrets
import sys
from pathlib import Path

#: By role, and by the name that it reads: the name in DIRECTORY.
ROLES = {
    "redis": {"redis": "redis", "redis.conf": "redis.conf"},
    "ingest": {"redis_url": "ingest_redis_url"},
    "worker": {"redis_url": "worker_redis_url"},
    "research": {"redis_url": "research_redis_url"},
    "deliver": {"redis_url": "deliver_redis_url"},
    "flower": {"redis_url": "flower_redis_url", "flower": "flower"},
    "grafana": {"grafana": "grafana"},
}
#: What the user of each role may do in Redis, as in docs/security.md: ingest as `rs-ingest`, with the queue of any pool and the HTTP
#: API, and `rs-operator`, because commands run there; workers of sweeps as `rs-worker` and `rs-research`. Without
#: `client|setinfo`, which clients can do without: a server older than 7.2 would not start.
RIGHTS = {
    "ingest": (
        "~rs:shard:* ~rs:lease:* ~rs:layout ~rs:pool:* ~rs:starts:* ~rs:signals* ~rs:positions "
        "~rs:deadletters ~rs:audit ~rs:counters ~rs:configuration* %R~rs:workers ~rs:celery:* %R~rs:* ~rs:resets "
        "~rs:api:* ~rs:delivery:* &rs:notices "
        "+del +evalsha +exec +exists +get +hdel +hget +hgetall +hincrby +hmget +hscan +hset +info +llen +lpush "
        "+lrange +multi +pexpire +ping +pttl +publish +rpop +scan +script|load +set +subscribe +time +unsubscribe "
        "+xack +xadd +xautoclaim +xdel +xgroup|create +xinfo|groups +xinfo|stream +xlen +xrange +xread "
        "+xreadgroup +xrevrange +xtrim"
    ),
    "worker": (
        "~rs:shard:* ~rs:pool:* ~rs:starts:* ~rs:signals* ~rs:positions ~rs:deadletters ~rs:audit ~rs:counters "
        "~rs:workers ~rs:configurations ~rs:celery:* &rs:notices &rs:celery:* &rs:celery:/0.celery.pidbox "
        "&rs:celery:/0.celeryev/worker.* "
        "+brpop +del +evalsha +exec +exists +expire +get +hdel +hget +hgetall +hincrby +hmget +hset +llen +lpush "
        "+multi +ping +psubscribe +publish +punsubscribe +rpop +rpush +sadd +script|exists +script|load +set "
        "+smembers +srem +time +unwatch +watch +xadd +xrange +zadd +zrange +zrangebyscore +zrem"
    ),
    "research": (
        "~rs:shard:* ~rs:pool:* ~rs:starts:* ~rs:signals* ~rs:positions ~rs:deadletters ~rs:audit ~rs:counters "
        "~rs:workers ~rs:configurations ~rs:celery:* %R~rs:workers ~rs:celery:research* "
        "~rs:celery:_kombu.binding* ~rs:celery:*.reply.celery.pidbox ~rs:celery:unacked_mutex &rs:notices "
        "&rs:celery:* &rs:celery:/0.celery.pidbox &rs:celery:/0.celeryev/worker.* &rs:celery:celery-task-meta-* "
        "+brpop +del +evalsha +exec +exists +expire +get +hdel +hget +hgetall +hincrby +hmget +hset +llen +lpush "
        "+mget +multi +ping +psubscribe +publish +punsubscribe +rpop +rpush +sadd +script|exists +script|load "
        "+set +smembers +srem +subscribe +time +unsubscribe +unwatch +watch +xadd +xrange +zadd +zrange "
        "+zrangebyscore +zrem"
    ),
    "deliver": (
        "%R~rs:signals %R~rs:configuration %R~rs:configurations ~rs:delivery:* ~rs:deadletters "
        "+del +evalsha +exists +get +hget +hincrby +hmget +hset +pexpire +ping +pttl +script|load +set +xadd "
        "+xinfo|stream +xrange +xread"
    ),
    "flower": (
        "%R~rs:celery:* ~rs:celery:_kombu.binding* ~rs:celery:unacked_mutex ~rs:celery:*.celery.pidbox "
        "~rs:celery:celeryev.* &rs:celery:/0.celery.pidbox &rs:celery:/0.celeryev/* "
        "+brpop +del +evalsha +exec +exists +get +llen +multi +ping +psubscribe +publish +punsubscribe +sadd "
        "+script|exists +script|load +set +smembers +srem +time +zadd +zrange +zrangebyscore +zrem"
    ),
}
#: As it stands there.
NAMESPACE = "rs"


def write(directory: Path, roles: Path, given: dict[str, str]) -> None:
    """Write every file. What is not given, or empty, is made up, unless it was before.

    `given` has values by `redis`, `flower`, `grafana` and `namespace`. Raises ValueError for an unusable one.
    """
    redis = given.get("redis") or _held(directory / "redis") or secrets.token_hex(32)
    flower = given.get("flower") or _held(directory / "flower") or f"admin:{secrets.token_hex(16)}"
    grafana = given.get("grafana") or _held(directory / "grafana") or secrets.token_hex(16)
    namespace = given.get("namespace") or NAMESPACE
    users = {role: _held(directory / f"{role}_redis") or secrets.token_hex(32) for role in RIGHTS}
    if not re.fullmatch(r"[\w.~-]+", redis, re.ASCII):
        raise ValueError("REDIS_PASSWORD: letters, digits and . _ ~ - only, because it becomes part of a URL")
    if not re.fullmatch(r"[^:,\s]+:[^:,\s]+", flower):
        raise ValueError("FLOWER_BASIC_AUTH: user:password, without blanks, commas and further colons")
    if not re.fullmatch(r"[\w.-]{1,64}", namespace, re.ASCII):
        raise ValueError("NAMESPACE: letters, digits and . _ - only, because keys begin with it")
    files = {
        "redis": redis,
        "redis.conf": "\n".join([f"requirepass {redis}", *(_user(role, users[role], namespace) for role in users), ""]),
        "flower": flower,
        "grafana": grafana,
    }
    for role, password in users.items():
        files[f"{role}_redis"] = password
        files[f"{role}_redis_url"] = f"redis://rs-{role}:{password}@redis:6379/0"
    for name, text in files.items():
        _replace(directory / name, text)
    for role, names in ROLES.items():
        (roles / role).mkdir(exist_ok=True)
        for name, source in names.items():
            _replace(roles / role / name, files[source])


def _user(role: str, password: str, namespace: str) -> str:
    rights = RIGHTS[role].replace(f"{NAMESPACE}:", f"{namespace}:")
    return f"user rs-{role} on >{password} resetkeys resetchannels -@all {rights}"


def _held(file: Path) -> str:
    return file.read_text(encoding="utf-8") if file.exists() else ""


def _replace(file: Path, text: str) -> None:
    """Write all of it or nothing: a half-written password would be kept."""
    draft = file.with_suffix(".draft")
    draft.write_text(text, encoding="utf-8")
    draft.replace(file)


def main() -> int:
    """Write into the directories that the command line names; 1 and one line when a given password can't be used."""
    parser = argparse.ArgumentParser(
        prog="passwords", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("directory", type=Path, metavar="DIRECTORY")
    parser.add_argument("roles", type=Path, metavar="ROLES")
    arguments = parser.parse_args()
    names = {
        "redis": "REDIS_PASSWORD", "flower": "FLOWER_BASIC_AUTH", "grafana": "GRAFANA_PASSWORD", "namespace": "NAMESPACE",
    }  # fmt: skip
    given = {name: os.environ.get(variable, "").strip() for name, variable in names.items()}
    try:
        write(arguments.directory, arguments.roles, given)
    except (ValueError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
