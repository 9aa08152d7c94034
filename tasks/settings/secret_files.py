"""Secrets from files: NAME_FILE is the path of a file that holds NAME."""

import os
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from tasks.errors import SettingsError


class SecretFiles(PydanticBaseSettingsSource):
    """Reads NAME_FILE for each secret NAME. Raises SettingsError."""

    def __init__(self, settings_cls: type[BaseSettings], secrets: tuple[str, ...]) -> None:
        super().__init__(settings_cls)
        self._secrets = secrets

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002 given by the base
        """Return the value of a field, or None, with what the base wants to know besides."""
        path = os.environ.get(f"{field_name.upper()}_FILE") if field_name in self._secrets else None
        if not path:
            return None, field_name, False
        try:
            return Path(path).read_text(encoding="utf-8").strip(), field_name, False
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not text"
            raise SettingsError(f"{field_name.upper()}_FILE: can't read {path}: {why}") from None

    def __call__(self) -> dict[str, Any]:
        """Return every value that a file holds."""
        found = {name: self.get_field_value(field, name)[0] for name, field in self.settings_cls.model_fields.items()}
        return {name: value for name, value in found.items() if value is not None}
