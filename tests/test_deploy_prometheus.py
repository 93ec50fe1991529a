"""deploy/prometheus and deploy/grafana: valid, and nothing in them asks for a figure that nobody tells."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from photochanger import alerts
from tests.processes import ROOT
from tests.programs import program
from tests.scrapes import scrape
from tests.serving import Api

RULES = ROOT / "deploy/prometheus/rules.yml"
SCRAPE = ROOT / "deploy/prometheus/prometheus.yml"
CASES = ROOT / "tests/alert_rules.yml"
BOARD = ROOT / "deploy/grafana/photochanger.json"
PROMTOOL = program("promtool") or ""
OF_PROMETHEUS = {"up"}
NAME = re.compile(r"\b[a-z][a-z0-9_]*(?=\s*[\[{])|\b(?:ingest|photochanger)_[a-z0-9_]+")
"""Metric names in an expression: whatever has a selector, and whatever looks like ours."""
LABEL = re.compile(r"([a-z_]+)\s*(?:=~|!~|!=|=)\s*\"")
DURATION = re.compile(r"[0-9]+(s|m|h)")


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def board() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(BOARD.read_text(encoding="utf-8"))
    return loaded


def expressions() -> Iterator[str]:
    yield from (rule["expr"] for rule in rules())
    yield from (target["expr"] for panel in board()["panels"] for target in panel["targets"])


@pytest.mark.anyio
async def test_every_figure_that_is_asked_for_is_told(api: Api, http: httpx.AsyncClient) -> None:
    told = await scrape(http, api.url)
    known = told.names() | OF_PROMETHEUS
    asked = {name for expression in expressions() for name in NAME.findall(expression)}
    assert len(asked) > 15
    assert asked - known == set()


@pytest.mark.parametrize("expression", list(expressions()))
def test_an_expression_is_whole(expression: str) -> None:
    for opening, closing in ("()", "[]", "{}"):
        assert expression.count(opening) == expression.count(closing)
    assert expression.count('"') % 2 == 0
    labels = set(LABEL.findall(expression)) | {
        name.strip() for names in re.findall(r"by \(([^)]*)\)", expression) for name in names.split(",")
    }
    known = {
        "status",
        "le",
        "stage",
        "provider",
        "model",
        "outcome",
        "state",
        "sweep",
        "name",
        "job",
        "process",
        "call",
    }
    assert labels <= known | {"slot_id", "failure_reason"}


def test_the_rules_have_the_shape_prometheus_reads() -> None:
    names = [rule["alert"] for rule in rules()]
    assert len(set(names)) == len(names)
    for rule in rules():
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        assert rule["labels"]["severity"] in {"critical", "warning"}
        assert rule["annotations"]["summary"]
        assert DURATION.fullmatch(rule.get("for", "0s"))


@pytest.mark.skipif(not PROMTOOL, reason="promtool is not installed: `make prometheus`")
@pytest.mark.parametrize(
    "arguments", [("check", "rules", RULES), ("check", "config", SCRAPE), ("test", "rules", CASES)]
)
def test_promtool_finds_no_mistake(arguments: tuple[str | Path, ...]) -> None:
    done = subprocess.run([PROMTOOL, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_has_a_case_in_which_it_tells_and_one_in_which_it_does_not() -> None:
    cases = yaml.safe_load(CASES.read_text(encoding="utf-8"))["tests"]
    told = {True: set[str](), False: set[str]()}
    for case in cases:
        for one in case["alert_rule_test"]:
            told[bool(one["exp_alerts"])].add(one["alertname"])
    names = {rule["alert"] for rule in rules()}
    assert told == {True: names, False: names}


def test_the_scrape_names_the_rules_and_asks_where_they_are_told() -> None:
    config = yaml.safe_load(SCRAPE.read_text(encoding="utf-8"))
    assert config["rule_files"] == [RULES.name]
    (job,) = config["scrape_configs"]
    assert (job["job_name"], job["metrics_path"]) == ("photochanger", "/metrics")
    assert 'job="photochanger"' in RULES.read_text(encoding="utf-8")


def test_the_board_is_whole() -> None:
    panels = board()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels) > 10
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        assert panel["title"]
        assert panel["datasource"]["uid"] == "${datasource}"
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells
    assert [variable["name"] for variable in board()["templating"]["list"]] == ["datasource"]


def test_the_notifier_and_the_rules_know_the_same_troubles() -> None:
    ours = {
        "timeouts": "PhotosTooLate",
        "failures": "PhotosFail",
        "slow": "PhotosSlow",
        "disk": "DiskFull",
        "no_cleanup": "NoCleanup",
        "no_runner": "NoRunner",
        "queue_age": "QueueStandsStill",
        "circuit_open": "CircuitOpen",
        "key_rejected": "KeyRejected",
        "database_unavailable": "DatabaseDown",
    }
    assert set(alerts.SENTENCES["ru"]) == set(alerts.SENTENCES["en"]) == set(ours)
    assert set(ours.values()) <= {rule["alert"] for rule in rules()}
