"""Several processes that start at one word and tell what they did."""

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Told:
    """What a crew did: each one's own words, and the seconds until the last of them was through."""

    words: list[dict[str, Any]]
    seconds: float

    def total(self, name: str) -> float:
        """Over all of them."""
        return float(sum(word[name] for word in self.words))


def crew(module: str, *arguments: str, processes: int) -> Told:
    """Run `python -m module` so many times at once. Each says `ready`, gets a line, works, and says one JSON line."""
    command = [sys.executable, "-m", module, *arguments]
    members = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(processes)
    ]
    try:
        for member in members:
            if _line(member) != "ready\n":
                raise RuntimeError(f"{module} did not start")
        began = time.monotonic()
        for member in members:
            assert member.stdin is not None
            member.stdin.write("go\n")
            member.stdin.flush()
        words = [json.loads(_line(member)) for member in members]
        return Told(words=words, seconds=time.monotonic() - began)
    finally:
        for member in members:
            member.kill()
            member.communicate()


def _line(member: subprocess.Popen[str]) -> str:
    assert member.stdout is not None
    return member.stdout.readline()
