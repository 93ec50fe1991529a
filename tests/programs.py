"""Programs that tests drive where they are installed: on the PATH, or beside Python, where `make test` puts some."""

import os
import shutil
import sys
from pathlib import Path


def program(name: str) -> str | None:
    """Its path; None where it is not installed."""
    return shutil.which(name, path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
