"""What a benchmark reports: figures beside their goals, and the table of them."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

FEW = "≤"
MANY = "≥"


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One measured figure: the median of `values`, with the spread from the smallest to the largest of them."""

    what: str
    values: Sequence[float]
    unit: str = ""
    goal: tuple[str, float] | None = None
    """`("≤", 0.12)` or `("≥", 20)`; None: told for its own sake."""
    note: str = ""

    @property
    def median(self) -> float:
        """What is compared with the goal."""
        return statistics.median(self.values)

    @property
    def reached(self) -> bool | None:
        """None where there is no goal."""
        if self.goal is None:
            return None
        sign, wanted = self.goal
        return self.median <= wanted if sign == FEW else self.median >= wanted

    def cells(self) -> tuple[str, str, str, str, str]:
        """Its line of the table."""
        spread = "" if len(self.values) == 1 else f"{shown(min(self.values))} … {shown(max(self.values))}"
        goal = "" if self.goal is None else f"{self.goal[0]} {self.goal[1]:g}"
        verdict = {None: "", True: "yes", False: "NO"}[self.reached]
        return (self.what, f"{shown(self.median)} {self.unit}".rstrip(), spread, goal, verdict)


def shown(value: float) -> str:
    """Three digits that count."""
    if value == 0:
        return "0"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def ratios(values: Sequence[float], yardstick: Sequence[float]) -> list[float]:
    """Round by round: what ran side by side is compared."""
    return [value / other for value, other in zip(values, yardstick, strict=True)]


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that `share` of all do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * int(share * 1000) // 1000) - 1)]


def table(figures: Sequence[Figure]) -> str:
    """All of them, with their notes below the line they belong to."""
    head = ("", "median", "spread", "goal", "reached")
    rows = [figure.cells() for figure in figures]
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        first, *others = cells
        padded = [first.ljust(widths[0])] + [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        return "  ".join(padded).rstrip()

    lines = [line(head)]
    for figure, cells in zip(figures, rows, strict=True):
        lines.append(line(cells))
        if figure.note:
            lines.append(f"    {figure.note}")
    return "\n".join(lines)
