"""Form fields made from a JSON Schema: what an operation lets an administrator set, in words, and back from the form.

providers.json decides which fields there are; here is only how each kind of value looks in a form. A setting without
words of its own is shown by its name.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from api.pages.language import marked
from photochanger.providers import Operation, Provider

WHOLE = re.compile(r"-?[0-9]{1,9}")
DECIMAL = re.compile(r"-?[0-9]{1,9}(\.[0-9]{1,9})?")
LONG_TEXT = 200
"""Characters above which a text gets more than one line."""


@dataclass(frozen=True, kw_only=True)
class Label:
    """A setting in words."""

    word: str
    hint: str = ""


LABELS = {
    "prompt": Label(
        word=marked("Prompt"), hint=marked("What becomes of the photo. Say what must stay, too: faces, poses, people.")
    ),
    "negative_prompt": Label(word=marked("What must not appear"), hint=marked("Up to 80 words")),
    "model": Label(word=marked("Model")),
    "size": Label(word=marked("Size")),
    "aspect_ratio": Label(word=marked("Aspect ratio"), hint=marked("Without a choice: that of the photo")),
    "thinking_level": Label(word=marked("Thinking"), hint=marked("More thinking takes longer and follows better")),
    "quality": Label(word=marked("Quality")),
    "background": Label(word=marked("Background")),
    "input_fidelity": Label(word=marked("Likeness"), hint=marked("How close to the photo it stays")),
    "strength": Label(word=marked("Strength of the change"), hint=marked("0 to 80")),
    "seed": Label(word=marked("Seed"), hint=marked("The same number gives the same picture again")),
    "scale": Label(word=marked("Obedience to the prompt")),
    "original_language": Label(word=marked("Language of the prompt")),
    "face_restore": Label(word=marked("Make faces clearer")),
    "retries": Label(word=marked("Repeats after a failure"), hint=marked("Only while the deadline allows it")),
    "repeat_interrupted": Label(
        word=marked("Repeat an interrupted call"),
        hint=marked("It may already have been paid for; the photo then costs twice"),
    ),
}
OPERATIONS = {
    "Change the picture by a prompt": marked("Change the picture by a prompt"),
    "Redraw the picture in the style of another": marked("Redraw the picture in the style of another"),
    "Give the photo the style of another picture": marked("Give the photo the style of another picture"),
    "Put another face into the photo": marked("Put another face into the photo"),
    "Replace an object in the photo": marked("Replace an object in the photo"),
}
ROLES = {
    "style": Label(word=marked("Style picture"), hint=marked("The photo is redrawn like this picture")),
    "face": Label(word=marked("Face picture"), hint=marked("This face is put into the photo")),
    "background": Label(word=marked("Background picture"), hint=marked("It is put behind the people")),
}


@dataclass(frozen=True, kw_only=True)
class FormField:
    """One field. `kind`: text, long, number, choice or switch."""

    name: str
    kind: str
    word: str
    hint: str
    required: bool
    choices: tuple[str, ...] = ()
    least: float | None = None
    most: float | None = None
    whole: bool = False
    longest: int | None = None


def fields_of(provider: Provider, operation: Operation, settings: Mapping[str, Any]) -> list[FormField]:
    """The operation's settings in their order; retired models only where the slot still names one."""
    schema = operation.settings_schema
    required = set(schema.get("required", []))
    made = []
    for name, told in schema["properties"].items():
        label = LABELS.get(name, Label(word=name))
        kind, choices = _kind(told), tuple(map(str, told.get("enum", ())))
        if name == "model":
            living = {model.name for model in provider.models.values() if not model.retired}
            choices = tuple(choice for choice in choices if choice in living or choice == settings.get("model"))
        made.append(
            FormField(
                name=name,
                kind=kind,
                word=label.word,
                hint=label.hint,
                required=name in required,
                choices=choices,
                least=told.get("minimum"),
                most=told.get("maximum"),
                whole=told.get("type") == "integer",
                longest=told.get("maxLength"),
            )
        )
    return made


def _kind(told: Mapping[str, Any]) -> str:
    if "enum" in told:
        return "choice"
    return {"boolean": "switch", "integer": "number", "number": "number"}.get(
        told.get("type", "string"), "long" if told.get("maxLength", 0) > LONG_TEXT else "text"
    )


def settings_from(operation: Operation, given: Mapping[str, str], *, prefix: str) -> dict[str, Any]:
    """What the form says, with the schema's types. An empty field is left out; nonsense stays text, to be refused."""
    return dict(_settings_from(operation, given, prefix=prefix))


def _settings_from(operation: Operation, given: Mapping[str, str], *, prefix: str) -> Iterator[tuple[str, Any]]:
    for name, told in operation.settings_schema["properties"].items():
        text = given.get(f"{prefix}{name}", "").replace("\r\n", "\n")
        if told.get("type") == "boolean":
            if f"{prefix}{name}" in given or name in operation.settings_schema.get("required", []):
                yield name, text == "1"
        elif text.strip():
            yield name, value_of(text, told)


def value_of(text: str, told: Mapping[str, Any]) -> Any:
    """A number where the schema wants one, if the text is one as people write it: no `4_8`, no `nan`."""
    bare = text.strip().replace(",", ".")
    if told.get("type") == "integer" and WHOLE.fullmatch(bare):
        return int(bare)
    if told.get("type") == "number" and DECIMAL.fullmatch(bare):
        return float(bare)
    return text
