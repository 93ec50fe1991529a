"""Where the files that travel with the project lie: `migrations/`, `configs/`, `deploy/`.

Beside the package in a checkout, under `share/photochanger/` of the environment when installed from a wheel.
"""

import sys
from pathlib import Path

from photochanger.errors import ConfigurationError


def folder(name: str) -> Path:
    """The folder with this name. Raises `ConfigurationError` when the installation lacks it."""
    checkout = Path(__file__).resolve().parent.parent / name
    installed = Path(sys.prefix) / "share" / "photochanger" / name
    for candidate in (checkout, installed):
        if candidate.is_dir():
            return candidate
    raise ConfigurationError([f"the folder {name}/ is missing from this installation"])
