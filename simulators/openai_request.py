"""What OpenAI is asked to edit: a complete form, checked against what its model takes.

Stricter than the API in two things, because a driver that relies on them breaks one day: `model` must be named (the
default has changed twice), and a file's name and declared type must be those of its bytes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from simulators.openai_errors import ApiError, invalid, model_not_found
from simulators.openai_form import File, Form
from simulators.openai_models import Model

MAX_IMAGES = 16
MAX_IMAGE_BYTES = 50 * 1024 * 1024
MAX_MASK_BYTES = 4 * 1024 * 1024
MAX_PROMPT_CHARACTERS = 32_000
FORMATS = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp"}
EXTENSIONS = {"image/png": ("png",), "image/jpeg": ("jpg", "jpeg"), "image/webp": ("webp",)}
CHOICES: Mapping[str, Sequence[str]] = {
    "background": ("transparent", "opaque", "auto"),
    "output_format": tuple(FORMATS),
    "moderation": ("low", "auto"),
    "input_fidelity": ("high", "low"),
    "stream": ("true", "false"),
}
NUMBERS = {"n": (1, 10), "output_compression": (0, 100), "partial_images": (0, 3)}
KNOWN = {"model", "prompt", "size", "quality", "user", *CHOICES, *NUMBERS}


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A well-formed request; its pictures are not yet decoded."""

    model: Model
    prompt: str
    images: Sequence[File]
    mask: File | None
    settings: Mapping[str, str]
    """All other texts, as sent."""

    @property
    def size(self) -> str:
        """As asked for, else `auto`."""
        return self.settings.get("size", "auto")

    @property
    def quality(self) -> str:
        """Never `auto`: what the model takes for it."""
        quality = self.settings.get("quality", "auto")
        return "medium" if quality == "auto" else quality

    @property
    def transparent(self) -> bool:
        """Whether the picture is to have holes."""
        return self.settings.get("background") == "transparent"

    @property
    def output_format(self) -> str:
        """png unless said otherwise."""
        return self.settings.get("output_format", "png")

    @property
    def count(self) -> int:
        """How many pictures."""
        return int(self.settings.get("n", "1"))


def read_edit(form: Form, *, models: Mapping[str, Model]) -> Asked:
    """The request in the form. Raises `ApiError`."""
    texts = form.texts
    model = _model(texts, models=models)
    for name in texts:
        if name not in KNOWN:
            raise invalid(f"Unknown parameter: '{name[:80]}'.", param=name, code="unknown_parameter")
    prompt = texts.get("prompt", "")
    if not prompt.strip():
        raise _missing("prompt")
    if len(prompt) > MAX_PROMPT_CHARACTERS:
        message = f"Invalid 'prompt': string too long. Expected at most {MAX_PROMPT_CHARACTERS}, got {len(prompt)}."
        raise invalid(message, param="prompt", code="string_above_max_length")
    settings = {name: value for name, value in texts.items() if name not in {"model", "prompt"}}
    _check_values(settings)
    _check_model(settings, model=model)
    _check_together(settings)
    images, mask = _files(form)
    return Asked(model=model, prompt=prompt, images=images, mask=mask, settings=settings)


def _model(texts: Mapping[str, str], *, models: Mapping[str, Model]) -> Model:
    name = texts.get("model", "")
    if not name:
        raise _missing("model")
    if name not in models:
        raise model_not_found(name[:80])
    return models[name]


def _check_values(settings: Mapping[str, str]) -> None:
    for name, choices in CHOICES.items():
        if settings.get(name, choices[0]) not in choices:
            raise _none_of(name, settings[name], choices)
    for name, (least, most) in NUMBERS.items():
        value = settings.get(name, str(least))
        if not (value.isascii() and value.isdigit() and len(value) < 5 and least <= int(value) <= most):
            message = f"Invalid value for '{name}': expected a whole number from {least} to {most}, got '{value[:40]}'."
            raise invalid(message, param=name, code="invalid_value")


def _check_model(settings: Mapping[str, str], *, model: Model) -> None:
    if "input_fidelity" in settings and not model.input_fidelity:
        message = f"The model '{model.name}' does not support the 'input_fidelity' parameter."
        raise invalid(message, param="input_fidelity", code="invalid_input_fidelity_model")
    if (problem := model.size_mistake(settings.get("size", "auto"))) is not None:
        raise invalid(f"Invalid size '{settings['size'][:40]}'. {problem}", param="size", code="invalid_value")
    qualities = (*model.tokens, "auto")
    if settings.get("quality", "auto") not in qualities:
        raise _none_of("quality", settings["quality"], qualities)
    if settings.get("background") == "transparent" and not model.transparent:
        message = f"Transparent background is not supported for '{model.name}'."
        raise invalid(message, param="background", code="invalid_value")


def _check_together(settings: Mapping[str, str]) -> None:
    output_format = settings.get("output_format", "png")
    if settings.get("background") == "transparent" and output_format == "jpeg":
        raise invalid("Transparent background needs output_format png or webp.", param="background")
    if output_format == "png" and settings.get("output_compression", "100") != "100":
        raise invalid("Compression less than 100 is not supported for PNG.", param="output_compression")
    if "partial_images" in settings and settings.get("stream") != "true":
        raise invalid("'partial_images' needs 'stream'.", param="partial_images")
    if settings.get("stream") == "true":
        raise invalid("This simulator does not stream.", param="stream")


def _files(form: Form) -> tuple[list[File], File | None]:
    images = [file for file in form.files if file.field != "mask"]
    masks = [file for file in form.files if file.field == "mask"]
    if not images:
        raise _missing("image")
    names = {file.field for file in images}
    if len(names) > 1 or (names == {"image"} and len(images) > 1):
        message = "Duplicate parameter: 'image'. To send several images use 'image[]'."
        raise invalid(message, param="image", code="duplicate_parameter")
    if len(images) > MAX_IMAGES:
        message = f"Invalid 'image': array too long. Expected at most {MAX_IMAGES}, got {len(images)}."
        raise invalid(message, param="image", code="array_above_max_length")
    if len(masks) > 1:
        raise invalid("Duplicate parameter: 'mask'.", param="mask", code="duplicate_parameter")
    for file in images:
        _check_file(file, types=list(EXTENSIONS), most_bytes=MAX_IMAGE_BYTES)
    for file in masks:
        _check_file(file, types=["image/png"], most_bytes=MAX_MASK_BYTES)
    return images, masks[0] if masks else None


def _check_file(file: File, *, types: Sequence[str], most_bytes: int) -> None:
    if file.mime not in types:
        message = f"Invalid file '{file.field}': unsupported mimetype ('{file.mime[:80]}')."
        raise invalid(message, param=file.field, code="unsupported_file_mimetype")
    if file.filename.rpartition(".")[2].lower() not in EXTENSIONS[file.mime]:
        message = f"Invalid file '{file.field}': a file of type {file.mime} is not called '{file.filename[:80]}'."
        raise invalid(message, param=file.field, code="invalid_image_file")
    if not 0 < len(file.data) < most_bytes:
        message = f"Invalid file '{file.field}': it must have 1 to {most_bytes - 1} bytes, not {len(file.data)}."
        raise invalid(message, param=file.field, code="invalid_image_file")


def _missing(name: str) -> ApiError:
    return invalid(f"Missing required parameter: '{name}'.", param=name, code="missing_required_parameter")


def _none_of(name: str, value: str, choices: Sequence[str]) -> ApiError:
    message = f"Invalid value: '{value[:40]}'. Supported values are: {', '.join(repr(one) for one in choices)}."
    return invalid(message, param=name, code="invalid_value")
