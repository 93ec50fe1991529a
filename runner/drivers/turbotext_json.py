"""JSON as Turbotext writes it. The vendor's own samples have Python's quotes and constants, and a bracket too many.

What is JSON is read as such. Otherwise, up to 64 KB and 20 levels, brackets that close nothing are left out and the
rest is read as a Python literal: it is parsed, never run. What is cut off, or a page of HTML, is not guessed at.
"""

import ast
import json
import re
from typing import Any

MOST_BYTES = 65_536
MOST_DEPTH = 20
CONSTANTS = {"true": True, "false": False, "null": None}
STRING_OR_BRACKET = re.compile(r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[\[\]{}]""", re.DOTALL)
ESCAPE = re.compile(r"\\(.)", re.DOTALL)
CLOSES = {"]": "[", "}": "{"}


def parsed(body: bytes) -> Any:
    """The JSON of a body, or what is meant by something like it; None when it is neither."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        pass
    if len(body) > MOST_BYTES:
        return None
    try:
        tree = ast.parse(_mended(body.decode("utf-8-sig").strip()), mode="eval")
        return ast.literal_eval(_Constants().visit(tree))
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return None


class _Constants(ast.NodeTransformer):
    """JSON's `true`, `false` and `null` among Python's quotes."""

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """The constant of this name; `literal_eval` refuses any other name."""
        return ast.copy_location(ast.Constant(CONSTANTS[node.id]), node) if node.id in CONSTANTS else node


def _mended(text: str) -> str:
    """Without closing brackets that nothing has opened, with JSON's `\\/` as Python reads it. Raises `ValueError`."""
    opened: list[str] = []

    def keep(found: re.Match[str]) -> str:
        piece = found[0]
        if piece in "[{":
            opened.append(piece)
            if len(opened) > MOST_DEPTH:
                raise ValueError("nested too deeply")
        elif piece in CLOSES:
            if not opened or opened[-1] != CLOSES[piece]:
                return ""
            opened.pop()
        else:
            return ESCAPE.sub(_escape, piece)
        return piece

    if not text.startswith("{"):
        raise ValueError("not an object")
    return STRING_OR_BRACKET.sub(keep, text)


def _escape(found: re.Match[str]) -> str:
    if found[1] == "/":
        return "/"
    if found[1] not in "\"'\\bfnrtu":
        raise ValueError("an escape that JSON does not know")
    return found[0]
