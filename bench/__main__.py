"""`python -m bench [NAME…] [--quick]`: the project's benchmarks, each figure beside its goal.

They never fail on a missed goal: this machine's other work decides too. Compare figures of one run with each other.
"""

import argparse
import importlib
import os
import platform
import time

from bench.figures import Figure, table

BENCHMARKS = {
    "answer": "the service's own share of an answer; the provider takes 2 s",
    "throughput": "photos a second with an instant provider, beside a bare forwarder",
    "memory": "an API process with many waiting requests and large uploads; a runner with 16 photos in work",
    "turbotext": "300 jobs in a provider's own queue at once, which takes 30 s",
    "pictures": "a picture child's tasks",
    "sweep": "the cleanup: many expired results, nothing to do beside many rows, and booths meanwhile",
    "log": "pages of the job log and a slot's gallery beside a million finished jobs",
    "stats": "the statistics beside a million jobs of 30 days",
    "queue": "the queue beside procrastinate, and beside a million finished jobs",
}


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    listed = ", ".join(f"{name} ({what})" for name, what in BENCHMARKS.items())
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"only these of: {listed}")
    parser.add_argument("--quick", action="store_true", help="fewer and smaller rounds")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(BENCHMARKS):
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}")
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    all_figures: list[Figure] = []
    for name in arguments.names or BENCHMARKS:
        began = time.monotonic()
        print(f"\n{name}: {BENCHMARKS[name]}", flush=True)
        figures = list(importlib.import_module(f"bench.{name}").measure(quick=arguments.quick))
        print(table(figures), f"({time.monotonic() - began:.0f} s)", sep="\n", flush=True)
        all_figures += figures
    goals = [figure for figure in all_figures if figure.goal is not None]
    print(f"\n{sum(bool(figure.reached) for figure in goals)} of {len(goals)} goals reached")


if __name__ == "__main__":
    main()
