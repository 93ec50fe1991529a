"""Where the processes of one machine keep what they count: files under PHOTOCHANGER_HOME/metrics, read by any of them.

    counter_api-0.db   histogram_api-0.db   gauge_livesum_api-0.db   api-0.lock   api-1.lock …

This is prometheus-client's multiprocess mode, which maps a file per kind of metric into each process. Left alone it
names them by pid: they pile up, and with them the time to read them. Here a process takes a numbered place, locked
for its life, and goes on with the files that the one before it left there: no counter ever goes back. Its gauges go
when it does, also after kill -9.

Figures must never stop a photo. A file is given all its blocks beforehand: a map over a full disk would kill the
process. Where there is no room or no folder, the process counts for itself, and nobody sees it.
"""

import fcntl
import json
import os
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog
from prometheus_client import Metric, values
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from photochanger.metrics import GAUGES, PROCESSES, REGISTRY

log = structlog.get_logger()

FOLDER = "metrics"
VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""Of our own environment: prometheus-client looks for its folder there."""
KINDS = ("counter", "histogram", f"gauge_{GAUGES}")
FILE_BYTES = 512 * 1024
"""Room for some 2,500 figures of a kind: several times those of 15 slots and all providers."""
MOST_PLACES = 256
BROKEN = (struct.error, RuntimeError, ValueError, IndexError, TypeError)
"""What reading a file may raise that a power cut has left behind."""


@contextmanager
def shared(home: Path, process: str) -> Iterator[None]:
    """Keep this process's figures where the others find them. Before anything is counted; `process` has no `_`."""
    folder, lock, place = home / FOLDER, None, ""
    try:
        folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        with _alone(folder):
            place, lock = _take_place(folder, process)
            mark_process_dead(place, str(folder))  # type: ignore[no-untyped-call]
            for kind in KINDS:
                _make_room(folder / f"{kind}_{place}.db")
        os.environ[VARIABLE] = str(folder)
        values.ValueClass = values.MultiProcessValue(lambda: place)  # type: ignore[no-untyped-call]
    except OSError as error:
        log.warning("metrics_not_shared", error=type(error).__name__, folder=str(folder))
    try:
        PROCESSES.labels(process).set(1)
        yield
    finally:
        if lock is not None:
            mark_process_dead(place, str(folder))  # type: ignore[no-untyped-call]
            os.close(lock)


def families() -> Iterable[Metric]:
    """What all processes of this machine have counted; those of this one alone where nothing is shared.

    Every metric of this release is there, if only by its name; what an older one has left in the files is not.
    """
    if VARIABLE not in os.environ:
        return REGISTRY.collect()
    folder = Path(os.environ[VARIABLE])
    _forget_gauges_of_the_dead(folder)
    paths = [str(path) for path in folder.glob("*.db")]
    try:
        merged = MultiProcessCollector.merge(paths)  # type: ignore[no-untyped-call]
    except BROKEN:
        merged = MultiProcessCollector.merge([path for path in paths if _is_sound(Path(path))])  # type: ignore[no-untyped-call]
    by_name = {family.name: family for family in merged}
    return [by_name.get(family.name, family) for family in REGISTRY.collect()]


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Places are taken, and given up for dead, by one process at a time."""
    descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _take_place(folder: Path, process: str) -> tuple[str, int]:
    """The first one that is free, and the descriptor that holds it."""
    for number in range(MOST_PLACES):
        descriptor = _locked(folder / f"{process}-{number}.lock")
        if descriptor is not None:
            return f"{process}-{number}", descriptor
    raise OSError("there is no place left")


def _locked(path: Path) -> int | None:
    """A lock of our own, until the descriptor is closed. None while somebody else has it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _make_room(path: Path) -> None:
    """A file that can be mapped: sound, with all its blocks. Raises `OSError` when there is no room for it."""
    if path.exists() and not _is_sound(path):
        log.warning("metrics_file_broken", path=path.name)
        path.unlink()
    draft = path if path.exists() else path.with_suffix(".new")  # an empty one must not be found under its name
    descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        os.posix_fallocate(descriptor, 0, max(FILE_BYTES, os.fstat(descriptor).st_size))
    finally:
        os.close(descriptor)
    draft.rename(path)


def _is_sound(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            (used_bytes,) = struct.unpack("i", file.read(4))
        for key, *_ in MmapedDict.read_all_values_from_file(path):  # type: ignore[no-untyped-call]
            json.loads(key)
    except (FileNotFoundError, *BROKEN):
        return False
    return bool(0 <= used_bytes <= path.stat().st_size)


def _forget_gauges_of_the_dead(folder: Path) -> None:
    with _alone(folder):
        for lock in folder.glob("*-*.lock"):
            descriptor = _locked(lock)
            if descriptor is not None:
                mark_process_dead(lock.stem, str(folder))  # type: ignore[no-untyped-call]
                os.close(descriptor)
