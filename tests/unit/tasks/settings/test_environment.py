"""Variables of the environment that other software reads instead of our settings."""

import pytest

from tasks.settings.environment import overruled

BROKER, RESULTS = "redis://:hunter2@h:6379/1", "redis://h/2"


@pytest.mark.parametrize(
    "name", ["CELERY_BROKER_URL", "CELERY_BROKER", "CELERY_BROKER_READ_URL", "CELERY_BROKER_WRITE_URL"]
)
def test_another_broker_for_celery_alone_is_named(name):
    [told] = overruled({name: "redis://:secret@elsewhere"}, BROKER, RESULTS)
    assert told == f"{name} (or Celery's command line): not used; the broker is that of BROKER_URL or REDIS_URL"


@pytest.mark.parametrize("name", ["RESULT_BACKEND", "CELERY_RESULT_BACKEND"])
@pytest.mark.parametrize("value", ["redis://elsewhere", "rpc://"])
def test_another_result_store_for_celery_alone_is_named(name, value):
    [told] = overruled({name: value}, BROKER, RESULTS)
    assert told.startswith(f"{name} (or Celery's command line): not used; the result store")


def test_several_variables_that_say_the_same_are_one_warning():
    assert len(overruled({"CELERY_BROKER": "redis://a", "CELERY_BROKER_URL": "redis://a"}, BROKER, RESULTS)) == 1


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"CELERY_BROKER_URL": ""},
        {"CELERY_BROKER_URL": BROKER, "RESULT_BACKEND": RESULTS},
        # The same server, written in another way.
        {"CELERY_BROKER_URL": "redis://:hunter2@h?db=1", "CELERY_RESULT_BACKEND": "redis://h:6379/2"},
        # A setting of ours.
        {"BROKER_URL": "redis://elsewhere"},
    ],
)
def test_what_says_the_same_as_our_settings_is_not_named(environ):
    assert overruled(environ, BROKER, RESULTS) == []
