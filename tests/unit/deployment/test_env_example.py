import re
from pathlib import Path

from compose.local.processes import ROOT
from tasks.settings import SECRETS, Settings

TEXT = (ROOT / ".env.example").read_text()


def test_the_example_names_every_setting_with_its_default_and_description():
    expected = [
        (
            field.description,
            name.upper(),
            field.default.relative_to(ROOT) if isinstance(field.default, Path) else field.default,
        )
        for name, field in Settings.model_fields.items()
    ]
    shown = re.findall(r"^# (.+)\n#([A-Z_]+)=(.*)$", TEXT, re.MULTILINE)
    assert shown == [
        (description, name, str(default).lower() if isinstance(default, bool) else str(default))
        for description, name, default in expected
    ]


def test_the_example_says_which_settings_may_stand_in_files():
    assert all(name.upper() in TEXT.partition("\n\n")[0] for name in SECRETS)
