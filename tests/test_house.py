"""The house's rules, read from the files: who imports whom, who writes a job's state, how long a file may be."""

import ast
import configparser
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("photochanger", "api", "runner", "cleanup", "simulators")
LIBRARIES = {
    "starlette": {"api"},
    "uvicorn": {"api"},
    "jinja2": {"api"},
    "aiohttp": {"runner", "simulators", "cleanup"},
}
FORBIDDEN_NAMES = {"utils", "common", "helpers", "manager", "util", "helper", "managers"}
QUEUE = ("jobs", "claims")
"""The modules that move a job from one state to another."""
MOST_LINES = 400
MOST_README_LINES = 180


def sources(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imported(path: Path) -> set[str]:
    """The top-level names a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)} imports relatively"
            found.add((node.module or "").partition(".")[0])
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "import_module" and node.args:
            said = ast.unparse(node.args[0]).lstrip("f").strip("'\"")
            found.add(said.partition(".")[0])
    return found


def test_there_is_something_to_read() -> None:
    assert all(len(sources(package)) > 1 for package in PACKAGES)


@pytest.mark.parametrize("package", PACKAGES)
def test_every_package_imports_the_core_and_itself_and_no_other(package: str) -> None:
    allowed = {package, "photochanger"}
    strangers = {
        name_of(path): sorted(imported(path) & (set(PACKAGES) | {"tests", "bench"}) - allowed)
        for path in sources(package)
    }
    assert {name: found for name, found in strangers.items() if found} == {}


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_library_stays_in_the_packages_it_is_for(library: str) -> None:
    users = {path.relative_to(ROOT).parts[0] for path in sources(*PACKAGES) if library in imported(path)}
    assert users <= LIBRARIES[library]


def test_no_module_is_called_what_could_be_anything() -> None:
    named = [name_of(path) for path in sources(*PACKAGES, "tests", "bench") if path.stem in FORBIDDEN_NAMES]
    folders = [
        name_of(path)
        for package in (*PACKAGES, "tests", "bench")
        for path in (ROOT / package).rglob("*")
        if path.is_dir() and path.name in FORBIDDEN_NAMES
    ]
    assert named + folders == []


@pytest.mark.parametrize("folder", ["api", "cleanup", "photochanger", "runner", "simulators", "tests"])
def test_no_file_is_longer_than_can_be_read(folder: str) -> None:
    lengths = {name_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in sources(folder)}
    assert {name: lines for name, lines in lengths.items() if lines > MOST_LINES} == {}


def test_the_readme_is_short() -> None:
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    if not lines:
        pytest.skip("there is no README yet")
    assert len(lines) <= MOST_README_LINES


def undocumented(path: Path) -> Iterator[str]:
    """Public functions and classes at the top of a module, and public methods of its public classes."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    if ast.get_docstring(tree) is None and tree.body:
        yield f"{name_of(path)}: the module"
    places: list[tuple[str, list[ast.stmt]]] = [("", tree.body)]
    for prefix, body in places:
        for node in body:
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) or node.name[0] == "_":
                continue
            if ast.get_docstring(node) is None:
                yield f"{name_of(path)}:{node.lineno} {prefix}{node.name}"
            if isinstance(node, ast.ClassDef):
                places.append((f"{node.name}.", node.body))


@pytest.mark.parametrize("package", PACKAGES)
def test_everything_public_says_what_it_is(package: str) -> None:
    assert [found for path in sources(package) for found in undocumented(path)] == []


def _is_job(node: ast.AST) -> bool:
    """`job`, `tables.job`."""
    return (isinstance(node, ast.Name) and node.id == "job") or (isinstance(node, ast.Attribute) and node.attr == "job")


def _verbs(node: ast.AST) -> set[str]:
    """Which statements on the job table stand inside: `update(job)`, `job.insert()`."""
    found = set()
    for call in ast.walk(node):
        if not isinstance(call, ast.Call):
            continue
        called = call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")
        if called in {"update", "insert"} and (
            any(_is_job(argument) for argument in call.args)
            or (isinstance(call.func, ast.Attribute) and _is_job(call.func.value))
        ):
            found.add(called)
    return found


def status_writes(tree: ast.AST) -> set[str]:
    """`update` or `insert`, where a statement on the job table names its status."""
    found: set[str] = set()
    for call in ast.walk(tree):
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)):
            continue
        told = {keyword.arg for keyword in call.keywords}
        told |= {
            node.value for node in ast.walk(call) if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
        if call.func.attr in {"values", "from_select"} and "status" in told:
            found |= _verbs(call.func.value)
    for text in ast.walk(tree):
        if isinstance(text, ast.Constant) and isinstance(text.value, str):
            words = " ".join(text.value.lower().split())
            found |= {"update"} if "update job set" in words and "status" in words else set()
            found |= {"insert"} if "insert into job " in words else set()
    return found


def test_only_the_queue_moves_a_jobs_status_and_only_the_intake_writes_its_first() -> None:
    found = {name_of(path): status_writes(ast.parse(path.read_text(encoding="utf-8"))) for path in sources(*PACKAGES)}
    assert {name: verbs for name, verbs in found.items() if verbs} == {
        **{f"photochanger/{module}.py": {"update"} for module in QUEUE},
        "photochanger/intake.py": {"insert"},
    }


@pytest.mark.parametrize(
    ("code", "verbs"),
    [
        ("update(job).where(x).values(status='done')", {"update"}),
        ("update(tables.job).values({'status': 'done'})", {"update"}),
        ("job.update().values(status='done')", {"update"}),
        ("insert(job).from_select(['job_id', 'status'], q)", {"insert"}),
        ("text('UPDATE job SET priority = 1, status = 2')", {"update"}),
        ("update(job).values(result_path=None)", set()),
        ("update(slot).values(status='x')", set()),
    ],
)
def test_a_written_status_is_seen(code: str, verbs: set[str]) -> None:
    assert status_writes(ast.parse(code)) == verbs


@pytest.mark.parametrize("module", QUEUE)
def test_no_statement_changes_a_job_without_naming_the_status_it_leaves(module: str) -> None:
    tree = ast.parse((ROOT / "photochanger" / f"{module}.py").read_text(encoding="utf-8"))
    changes = [
        ast.unparse(call.func)
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "values"
        if "update(job)" in ast.unparse(call.func)
    ]
    assert changes
    for change in changes:  # a claim changes the rows that its own statement has chosen by status, and locked
        assert any(guard in change for guard in ("HELD_BY_CLAIM", "status_is(", "any_(ids)", "chosen.c.job_id")), change


def test_no_two_things_wait_for_the_same_advisory_lock() -> None:
    """PostgreSQL knows an advisory lock by its number alone."""
    numbers: dict[int, list[str]] = {}
    for path in sources(*PACKAGES):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, int) and 41_000 <= node.value < 42_000:
                numbers.setdefault(node.value, []).append(f"{name_of(path)}:{node.lineno}")
    assert len(numbers) > 5
    assert {number: places for number, places in numbers.items() if len(places) > 1} == {}


def test_supervisord_starts_commands_that_exist() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    told = configparser.ConfigParser(interpolation=None, strict=True)
    told.read_string((ROOT / "deploy/supervisord.conf").read_text(encoding="utf-8"))
    commands = {
        name: told[name]["command"].split()[0]
        for name in told.sections()
        if name.startswith(("program:", "fcgi-program:"))
    }
    assert set(commands.values()) <= set(project["scripts"])
    for wanted in ("photochanger-api", "photochanger-runner", "photochanger-media-cleanup"):
        assert wanted in commands.values()
    for name in commands:
        if "numprocs" in told[name]:
            assert "%(process_num)d" in told[name]["process_name"]
            assert "%(process_num)d" in told[name]["stderr_logfile"], "two processes would write one file"


def test_every_command_leads_to_a_function() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    told = [*project["scripts"].values(), *project["entry-points"]["photochanger.commands"].values()]
    for target in told:
        module, _, name = target.partition(":")
        path = ROOT / f"{module.replace('.', '/')}.py"
        assert path.is_file(), target
        tree = ast.parse(path.read_text(encoding="utf-8"))
        functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        values = {
            assigned.id
            for node in tree.body
            if isinstance(node, ast.Assign)
            for assigned in node.targets
            if isinstance(assigned, ast.Name)
        }
        assert name in functions | values, target


def test_the_wheel_brings_every_package() -> None:
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]["targets"]
    assert set(wheel["wheel"]["packages"]) == set(PACKAGES)
    for folder in wheel["wheel"]["shared-data"]:
        assert (ROOT / folder).is_dir()


def test_tests_lie_flat() -> None:
    """A folder or an `__init__.py` under tests/ would hide a package of the same name."""
    found = [path for path in (ROOT / "tests").rglob("*.py") if path.parent != ROOT / "tests"]
    assert [*found, *(ROOT / "tests").glob("__init__.py")] == []
