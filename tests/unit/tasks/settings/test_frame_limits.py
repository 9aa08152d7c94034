import pytest

from tasks.frames.plausibility import DEFAULT_LIMITS
from tasks.settings import Settings, frame_limits, load

pytestmark = pytest.mark.usefixtures("empty_environment")


def test_the_default_settings_are_the_default_limits():
    assert frame_limits(Settings()) == DEFAULT_LIMITS


def test_allowed_symbols_are_meant_as_typed_and_in_upper_case(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ALLOWED_SYMBOLS", " btcusdt, BTC/USD,,")
    assert load().allowed_symbols == "btcusdt,BTC/USD"
    assert frame_limits(load()).symbols == ("BTC/USD", "BTCUSDT", "btcusdt")
