"""The version of what runs here: of the release that the image was built from, or of the checkout."""

import os

VERSION = os.environ.get("APP_VERSION") or "1.0.0"
