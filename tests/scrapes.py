"""What `/metrics` says, read as Prometheus reads it."""

from collections.abc import Mapping

import httpx
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families


class Scrape:
    """One answer of `/metrics`."""

    def __init__(self, text: str) -> None:
        self.families: Mapping[str, Metric] = {family.name: family for family in text_string_to_metric_families(text)}
        self.samples = [sample for family in self.families.values() for sample in family.samples]

    def total(self, name: str, /, **labels: str) -> float:
        """The sum of the samples of this name that have these labels."""
        return sum(one.value for one in self.samples if one.name == name and labels.items() <= one.labels.items())

    def labels(self, name: str) -> set[str]:
        """Every value that a label of this name has anywhere."""
        return {sample.labels[name] for sample in self.samples if name in sample.labels}

    def names(self) -> set[str]:
        """Of every sample there is or may be: what an expression may ask for."""
        endings = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}
        return {f"{name}{ending}" for name, family in self.families.items() for ending in endings[family.type]}


async def scrape(http: httpx.AsyncClient, url: str) -> Scrape:
    """Ask for it, from where it may be asked for."""
    answer = await http.get(f"{url}/metrics")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return Scrape(answer.text)
