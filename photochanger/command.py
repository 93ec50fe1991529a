"""A command of `photochanger`, as the packages bring it.

Packages name theirs in the entry-point group `photochanger.commands`, so that the core imports none of them.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Command:
    """`photochanger NAME`: its arguments and what it does. `run` returns the exit code."""

    name: str
    help: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]
