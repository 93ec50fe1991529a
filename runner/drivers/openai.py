"""OpenAI's image models: `POST /v1/images/edits`. One form with the pictures, and the changed one is its answer.

There is no job to ask for later, nothing to cancel and no idempotency key: a lost answer may have been paid for. The
form holds only what the model's entry in providers.json allows. A size, quality or background that the model does not
have is refused as INVALID_REQUEST before anything is sent, but `input_fidelity`, which orders no other picture, is left
out where it is not known: the models from 2 on answer 400 to it.

Which pictures go along, in which order, and what tells the model which is which is in the operation's options:
`pictures`, roles with `photo` among them, and `preface`, words before the slot's prompt.
"""

import asyncio
import secrets
from urllib.parse import quote

from aiohttp import ClientSession

from photochanger import model_rules
from photochanger.images import PreparedPicture
from photochanger.picture_kinds import EXTENSIONS
from runner.body import FileBytes, Upload, ask
from runner.driver import Call, Image, Outcome, ProviderFailed, Receipt, usable_key
from runner.drivers import openai_answer
from runner.reading import parsed, text_of

MAX_PICTURE_BYTES = 50_000_000
MAX_PROMPT_CHARACTERS = 32_000
CHECK_SECONDS = 10.0
PHOTO = "photo"


async def submit(call: Call, http: ClientSession) -> Image:
    """Have the photo changed as the slot's prompt says. Raises `ProviderFailed`."""
    boundary = secrets.token_hex(16)
    upload = _form(_texts(call), _pictures(call), boundary=boundary)
    answer = await ask(
        http,
        "POST",
        f"{call.base_url}/v1/images/edits",
        headers={**_key_header(call.key), "Content-Type": f"multipart/form-data; boundary={boundary}"},
        key=call.key,
        deadline=call.deadline,
        upload=upload,
        receipt=Receipt(model=call.model.name),
    )
    if answer.status >= 300:
        raise openai_answer.failure(answer, model=call.model.name, key=call.key)
    return openai_answer.image(answer, call)


async def check_key(base_url: str, *, key: str, model: str, http: ClientSession) -> None:
    """Whether the key is good and the model alive, free of charge. Raises `ProviderFailed` when not."""
    deadline = asyncio.get_running_loop().time() + CHECK_SECONDS
    address = f"{base_url}/v1/models/{quote(model, safe='')}"
    answer = await ask(http, "GET", address, headers=_key_header(key), key=key, deadline=deadline)
    if answer.status >= 300:
        raise openai_answer.failure(answer, model=model, key=key)
    if not text_of(openai_answer.field(parsed(answer.body), "id")):
        raise ProviderFailed(Outcome.BAD_RESPONSE, "the answer is not a model's description")


def _key_header(key: str | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {usable_key(key)}"}


def _form(texts: dict[str, str], pictures: dict[str, PreparedPicture], *, boundary: str) -> Upload:
    """The form's texts, then its pictures, which are read while they are sent."""
    pieces: list[bytes | FileBytes] = []
    for name, text in texts.items():
        # A lone half of a surrogate pair is no UTF-8 and becomes a question mark.
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'
        pieces.append(f"{head}{text}\r\n".encode(errors="replace"))
    field = "image" if len(pictures) == 1 else "image[]"
    for role, picture in pictures.items():
        disposition = f'form-data; name="{field}"; filename="{role}.{EXTENSIONS[picture.mime]}"'
        head = f"--{boundary}\r\nContent-Disposition: {disposition}\r\nContent-Type: {picture.mime}\r\n\r\n"
        pieces += [head.encode(), FileBytes(picture.path, picture.size_bytes), b"\r\n"]
    return Upload(*pieces, f"--{boundary}--\r\n".encode())


def _texts(call: Call) -> dict[str, str]:
    prompt = "\n\n".join(text for text in (call.options.get("preface"), call.settings.get("prompt")) if text)
    if len(prompt) > MAX_PROMPT_CHARACTERS:
        raise _refused(call, f"the prompt is longer than {MAX_PROMPT_CHARACTERS} characters")
    background = _allowed(call, "background", "backgrounds")
    orders = {
        "size": _allowed_size(call),
        "quality": _allowed(call, "quality", "qualities"),
        "background": background,
        "input_fidelity": call.settings.get("input_fidelity") if call.model.capabilities["input_fidelity"] else None,
    }
    return {
        "model": call.model.name,
        "prompt": prompt,
        "n": "1",
        "output_format": "png" if background == "transparent" else "jpeg",
        **{name: value for name, value in orders.items() if value is not None},
    }


def _pictures(call: Call) -> dict[str, PreparedPicture]:
    """The pictures by role, in the order in which the model is to see them."""
    roles = call.options.get("pictures", [PHOTO])
    known = {**call.templates, PHOTO: call.photo}
    if missing := [role for role in roles if role not in known]:
        raise _refused(call, f"there is no picture for: {', '.join(missing)}")
    if len(roles) > call.model.capabilities["max_pictures"]:
        raise _refused(call, f"{call.model.name} takes no {len(roles)} pictures")
    for role in roles:
        if known[role].mime not in EXTENSIONS or known[role].size_bytes >= MAX_PICTURE_BYTES:
            raise _refused(call, f"the {role} is no JPEG, PNG or WEBP under {MAX_PICTURE_BYTES // 1_000_000} MB")
    return {role: known[role] for role in roles}


def _allowed(call: Call, setting: str, capability: str) -> str | None:
    """The setting, if the model takes it; None when it is not set, or leaves the choice to the model."""
    wanted: str | None = call.settings.get(setting)
    if wanted is None or wanted == "auto":
        return None
    taken = call.model.capabilities[capability]
    if wanted not in taken:
        raise _refused(call, f"{call.model.name} takes no {setting} {wanted}, only: {', '.join(taken)}")
    return wanted


def _allowed_size(call: Call) -> str | None:
    """As `_allowed`; models with `free_sizes` take any that keeps within these bounds."""
    bounds = call.model.capabilities.get("free_sizes")
    wanted = call.settings.get("size", "auto")
    if bounds is None or wanted == "auto":
        return _allowed(call, "size", "sizes")
    if not model_rules.fits(bounds, wanted):
        raise _refused(call, f"{call.model.name} takes no size {wanted}, only within: {model_rules.told(bounds)}")
    return str(wanted)


def _refused(call: Call, reason: str) -> ProviderFailed:
    """A call that is not made."""
    return ProviderFailed(Outcome.INVALID_REQUEST, reason, receipt=Receipt(model=call.model.name))
