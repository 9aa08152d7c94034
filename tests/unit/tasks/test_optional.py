"""What says how optional packages are installed."""

import pytest

from compose.local.processes import ROOT
from tasks.errors import SettingsError
from tasks.optional import install_command, optional_module


def test_in_a_checkout_the_locked_requirements_are_named():
    command = install_command("extras")
    assert command == "pip install --require-hashes -r requirements/extras.txt"
    assert (ROOT / command.rpartition(" ")[2]).is_file()


def test_without_a_checkout_the_extra_of_the_wheel_is_named(tmp_path):
    assert install_command("demo", tmp_path) == "pip install 'realtime-strategies[demo]'"


def test_a_missing_module_is_told_with_its_package_and_the_command():
    with pytest.raises(SettingsError) as raised:
        optional_module("not_there.inside", "extras", wanted_by="--fast")
    assert str(raised.value) == f"--fast needs not_there: {install_command('extras')}"


def test_a_module_that_is_installed_is_returned():
    assert optional_module("json", "demo").loads("1") == 1
