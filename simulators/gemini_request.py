"""What Gemini is asked: a request of the right shape, checked against what the model takes."""

import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from photochanger.errors import PictureError
from simulators.gemini_errors import invalid, of_field
from simulators.gemini_models import Model
from simulators.pictures import Photo, look
from simulators.proto_json import FieldMistake, Message, read

MIME_TYPES = ("image/png", "image/jpeg", "image/webp", "image/heic", "image/heif")
URL_SAFE_TO_STANDARD = ("-", "+"), ("_", "/")
PART_KINDS = ("text", "inlineData", "fileData", "functionCall", "functionResponse", "executableCode")


@dataclass(frozen=True, kw_only=True)
class Blob:
    """A picture as it was sent. `path` is where it stood, for error messages."""

    mime: str
    base64: str
    path: str


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A request that is well-formed; its pictures are not yet decoded."""

    model: Model
    prompt: str
    pictures: Sequence[Blob]
    config: Mapping[str, Any]
    """generationConfig, in camelCase."""

    @property
    def wants_picture(self) -> bool:
        """False for responseModalities ["TEXT"]."""
        return "IMAGE" in self.config.get("responseModalities", ["IMAGE"])

    @property
    def size(self) -> str:
        """1K unless said otherwise."""
        return str(self.config.get("imageConfig", {}).get("imageSize", "1K"))

    def ratio(self, photo: Photo | None) -> str:
        """As asked for; else the nearest to the photo's; 1:1 where there is none."""
        asked = self.config.get("imageConfig", {}).get("aspectRatio")
        if asked is not None:
            return str(asked)
        return "1:1" if photo is None else self.model.ratio_of(photo.width, photo.height)


def read_json(body: bytes, shape: Message) -> dict[str, Any]:
    """The body in its shape. Raises `ApiError`."""
    try:
        document = json.loads(body.decode("utf-8"), object_pairs_hook=_without_repeats, parse_constant=_refuse_constant)
        fields: dict[str, Any] = read(document, shape)
    except FieldMistake as mistake:
        raise of_field(mistake) from mistake
    except (ValueError, RecursionError) as error:
        raise invalid(f"Invalid JSON payload received. {error}") from error
    return fields


def read_generate(fields: Mapping[str, Any], *, model: Model) -> Asked:
    """The request behind the fields of a `GENERATE` message. Raises `ApiError` for what this model does not take."""
    if fields.get("model", f"models/{model.name}").removeprefix("models/") != model.name:
        raise invalid("The model in the body is not the one in the path.", field="model")
    prompt, pictures = read_contents(fields.get("contents", []), model=model)
    _check_safety(fields.get("safetySettings", []))
    config = fields.get("generationConfig", {})
    _check_config(config, model=model)
    return Asked(model=model, prompt=prompt, pictures=pictures, config=config)


def read_contents(contents: Sequence[Mapping[str, Any]], *, model: Model) -> tuple[str, list[Blob]]:
    """The prompt and the pictures. Raises `ApiError`."""
    if not contents:
        raise invalid("* GenerateContentRequest.contents: contents is not specified", field="contents")
    texts, pictures = [], []
    for position, content in enumerate(contents):
        path = f"contents[{position}]"
        if content.get("role", "user") not in ("user", "model"):
            raise invalid("Please use a valid role: user, model.", field=f"{path}.role")
        if not content.get("parts"):
            raise invalid(f"* GenerateContentRequest.{path}.parts: parts must not be empty.", field=f"{path}.parts")
        for number, part in enumerate(content["parts"]):
            kind = _kind_of(part, path=f"{path}.parts[{number}]")
            if kind == "text":
                texts.append(part["text"])
            elif kind == "inlineData":
                pictures.append(_blob(part["inlineData"], path=f"{path}.parts[{number}].inline_data"))
            elif kind == "fileData":
                raise invalid("This simulator keeps no files: send pictures as inlineData.", field=path)
    if contents[-1].get("role", "user") != "user":
        raise invalid("Please ensure that multiturn requests end with a user role.", field="contents")
    if len(pictures) > model.max_pictures:
        raise invalid(f"{len(pictures)} pictures are more than the {model.max_pictures} this model takes.")
    return "\n".join(texts), pictures


def decode(blob: Blob) -> bytes:
    """The picture's bytes, from standard or URL-safe base64. Raises `ApiError`."""
    text = blob.base64
    for url_safe, standard in URL_SAFE_TO_STANDARD:
        text = text.replace(url_safe, standard)
    try:
        return binascii.a2b_base64(text + "=" * (-len(text) % 4), strict_mode=True)
    except ValueError as error:
        message = f"Invalid value at '{blob.path}.data' (TYPE_BYTES), Base64 decoding failed for {blob.base64[:40]!r}"
        raise invalid(message, field=f"{blob.path}.data") from error


def open_picture(data: bytes, blob: Blob, *, to_paint: bool) -> Photo:
    """Decode the picture. Raises `ApiError` unless it is one, and of the type it says."""
    try:
        photo = look(data, to_paint=to_paint)
    except PictureError as error:
        raise invalid(f"Unable to process input image at {blob.path}: {error}") from error
    same = photo.mime == blob.mime or {photo.mime, blob.mime} == {"image/heic", "image/heif"}
    if not same:
        raise invalid(f"The picture at {blob.path} is {photo.mime}, not {blob.mime}.", field=f"{blob.path}.mime_type")
    return photo


def _kind_of(part: Mapping[str, Any], *, path: str) -> str:
    kinds = [kind for kind in PART_KINDS if kind in part]
    if len(kinds) != 1:
        problem = "is already set" if kinds else "must have one initialized field"
        raise invalid(f"Invalid value at '{path}': oneof field 'data' {problem}.", field=path)
    return kinds[0]


def _blob(inline: Mapping[str, Any], *, path: str) -> Blob:
    mime = inline.get("mimeType", "")
    if mime not in MIME_TYPES:
        raise invalid(f"Unsupported MIME type: {mime[:80]}", field=f"{path}.mime_type")
    if not inline.get("data"):
        raise invalid(f"Invalid value at '{path}.data': the picture is empty.", field=f"{path}.data")
    return Blob(mime=mime, base64=inline["data"], path=path)


def _check_config(config: Mapping[str, Any], *, model: Model) -> None:
    image = config.get("imageConfig", {})
    if "imageSize" in image:
        if not model.takes_size:
            raise invalid(f"{model.name} does not take image_size.", field="generation_config.image_config.image_size")
        _check_choice("generation_config.image_config.image_size", image["imageSize"], list(model.tokens))
    if "aspectRatio" in image:
        _check_choice("generation_config.image_config.aspect_ratio", image["aspectRatio"], list(model.ratios))
    if "thinkingLevel" in config.get("thinkingConfig", {}) and not model.levels:
        message = f"Thinking level is not supported for {model.name}."
        raise invalid(message, field="generation_config.thinking_config.thinking_level")
    modalities = config.get("responseModalities", [])
    if "AUDIO" in modalities or len(set(modalities)) != len(modalities):
        message = f"The modalities {', '.join(modalities)} are not supported by {model.name}."
        raise invalid(message, field="generation_config.response_modalities")
    if config.get("candidateCount", 1) != 1:
        raise invalid("Multiple candidates is not enabled for this model.", field="generation_config.candidate_count")
    for name, most in (("temperature", 2), ("topP", 1)):
        if not 0 <= config.get(name, 0) <= most:
            raise invalid(f"{name} must be from 0 to {most}.", field="generation_config")


def _check_choice(field: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        raise invalid(f"Invalid value at '{field}': {value[:40]!r} is none of {', '.join(choices)}.", field=field)


def _check_safety(settings: Sequence[Mapping[str, Any]]) -> None:
    categories = [setting.get("category") for setting in settings]
    if None in categories or any("threshold" not in setting for setting in settings):
        raise invalid("A safety setting needs a category and a threshold.", field="safety_settings")
    if len(set(categories)) != len(categories):
        raise invalid("Each harm category may be set once.", field="safety_settings")


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("A name is repeated.")
    return fields


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON.")
