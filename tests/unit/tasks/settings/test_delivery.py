"""Settings of deliveries: secrets are checked, and not shown."""

import pytest

from tasks.errors import SettingsError
from tasks.settings import Settings, load
from tests.support.servers.receiver import SECRET

SECRETS = {
    "DELIVER_WEBHOOK_URL": "https://example.com/hooks/secret-path",
    "DELIVER_WEBHOOK_SECRET": SECRET,
    "DELIVER_TELEGRAM_TOKEN": "123:secret-token",
    "DELIVER_DISCORD_URL": "https://discord.com/api/webhooks/1/secret-token",
}


@pytest.mark.parametrize("as_file", [False, True])
def test_secrets_come_from_the_environment_or_files_and_are_masked(as_file, tmp_path, monkeypatch):
    for name, value in SECRETS.items():
        (tmp_path / name).write_text(f"{value}\n")
        monkeypatch.setenv(f"{name}_FILE" if as_file else name, str(tmp_path / name) if as_file else value)
    settings = load()
    assert [getattr(settings, name.lower()) for name in SECRETS] == list(SECRETS.values())
    assert {settings.shown()[name] for name in SECRETS} == {"***"}


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("DELIVER_WEBHOOK_SECRET", "whsec_c2hvcnQ=", "at least 24 bytes"),
        ("DELIVER_WEBHOOK_SECRET", "not base64!", "base64"),
        ("DELIVER_WEBHOOK_URL", "example.com/hook", "https://HOST/PATH"),
        ("DELIVER_TELEGRAM_TOKEN", "bot123", "token of a bot"),
        ("DELIVER_NATS_SUBJECT", "a b", "not a NATS subject"),
    ],
)
def test_what_can_not_be_used_is_named_without_its_value(name, value, expected, monkeypatch):
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=name) as raised:
        load()
    assert expected in str(raised.value)
    assert name == "DELIVER_NATS_SUBJECT" or value not in str(raised.value)


def test_by_default_nothing_is_delivered_anywhere():
    assert not any(getattr(Settings(), name.lower()) for name in SECRETS)
