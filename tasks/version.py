"""The version of what runs here: of the release that the image was built from, or of the checkout."""

import os

#: Whether what runs once an event is compiled: this module is compiled with it.
COMPILED = not __file__.endswith(".py")
VERSION = os.environ.get("APP_VERSION") or "1.0.0"
