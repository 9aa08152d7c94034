"""NATS servers that want to know who comes, each in its own way: what they are told, and whom they let in."""

import base64
import json
import os
from pathlib import Path
from typing import Any, NamedTuple

import nkeys
import trustme

#: Is in every right and in every wrong login, so that it can be looked for.
SECRET = "geheim"  # noqa: S105 of servers that end with the test


class Login(NamedTuple):
    """One kind of login."""

    #: The server's configuration file.
    server: str
    #: Settings with which one gets in, and with which not. `{host}` stands for the server's host and port.
    right: dict[str, str]
    wrong: dict[str, str]


class Certificates:
    """A CA, and PEM files of it, of a server on 127.0.0.1, and of a client."""

    def __init__(self, directory: Path) -> None:
        authority = trustme.CA()
        self.ca, self.server, self.client = (str(directory / f"{name}.pem") for name in ("ca", "server", "client"))
        authority.cert_pem.write_to_path(self.ca)
        for path, name in ((self.server, "127.0.0.1"), (self.client, "us@example.org")):
            authority.issue_cert(name).private_key_and_cert_chain_pem.write_to_path(path)


def of_passwords() -> dict[str, Login]:
    """Return logins by words, in settings and in the URL."""
    user = f'authorization {{ user: us, password: "{SECRET}" }}'
    token = f'authorization {{ token: "{SECRET}" }}'
    other = f"{SECRET}-another"
    return {
        "user": Login(
            user, {"nats_user": "us", "nats_password": SECRET}, {"nats_user": "us", "nats_password": other}
        ),
        "user in the URL": Login(
            user, {"nats_url": f"nats://us:{SECRET}@{{host}}"}, {"nats_url": f"nats://us:{other}@{{host}}"}
        ),
        "token": Login(token, {"nats_token": SECRET}, {"nats_token": other}),
        "token in the URL": Login(token, {"nats_url": f"nats://{SECRET}@{{host}}"}, {"nats_url": f"nats://{other}@{{host}}"}),
    }  # fmt: skip


def of_keys() -> dict[str, Login]:
    """Return logins by keys."""
    operator, account, ours = (_pair(each) for each in (nkeys.PREFIX_BYTE_OPERATOR, nkeys.PREFIX_BYTE_ACCOUNT, USER))
    name = account.public_key.decode()
    limits = dict.fromkeys(("subs", "conn", "leaf", "imports", "exports", "data", "payload"), -1)
    trusted = _jwt(operator, account, "account", limits=limits | {"wildcards": True})
    server = (
        f"operator: {_jwt(operator, operator, 'operator')}\nresolver: MEMORY\nresolver_preload: {{ {name}: {trusted} }}"
    )
    inside = {"subs": -1, "data": -1, "payload": -1}
    stranger = _pair(nkeys.PREFIX_BYTE_ACCOUNT)
    return {
        "nkey": Login(
            f"authorization {{ users: [{{ nkey: {ours.public_key.decode()} }}] }}",
            {"nats_nkey": seed(ours)},
            {"nats_nkey": seed(_pair(USER))},
        ),
        "credentials": Login(
            server,
            {"nats_credentials": _credentials(_jwt(account, ours, "user", **inside), ours)},
            {"nats_credentials": _credentials(_jwt(stranger, ours, "user", **inside), ours)},
        ),
    }


USER: int = nkeys.PREFIX_BYTE_USER


def _pair(prefix: int) -> Any:
    return nkeys.from_seed(bytearray(nkeys.encode_seed(os.urandom(32), prefix)))


def seed(pair: Any) -> str:
    text: str = bytes(pair.seed).decode()
    return text


def user_key() -> Any:
    """Make a user's nkey."""
    return _pair(USER)


def _jwt(issuer: Any, subject: Any, kind: str, **claims: Any) -> str:
    head = {"typ": "JWT", "alg": "ed25519-nkey"}
    body = {"jti": kind, "iat": 0, "iss": issuer.public_key.decode(), "sub": subject.public_key.decode(), "name": kind}
    body["nats"] = {"type": kind, "version": 2, **claims}
    signed = ".".join(_base64(json.dumps(part).encode()) for part in (head, body))
    return f"{signed}.{_base64(issuer.sign(signed.encode()))}"


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _credentials(jwt: str, user: Any) -> str:
    return (
        f"-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n"
        f"-----BEGIN USER NKEY SEED-----\n{seed(user)}\n------END USER NKEY SEED------\n"
    )
