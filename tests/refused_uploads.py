"""Every way in which an upload is refused (robustness, the upload and the picture), for the test of what they share.

Passwords, hashes and fields in them are canaries.
"""

import hashlib
from dataclasses import dataclass

from api.upload import MAX_FORM_BYTES
from photochanger.errors import Failure
from tests import bad_pictures
from tests.booths import photo_bytes
from tests.circumstances import (
    Happening,
    database_away,
    disk_away,
    failing,
    full_slot,
    guessed_too_often,
    impatient,
    mistake_of_ours,
    no_folder,
    no_password,
    no_room,
    nothing,
    one_megabyte,
    one_second,
    slow_is_too_slow,
    switch_off,
)
from tests.raw_http import FORM_TYPE, LAST_CHUNK, Part, chunked, form, parts, post
from tests.upload_traces import MEGABYTE

PHOTO = photo_bytes()
PATH = "/ingest/slot-001"
FIELDS: tuple[Part, ...] = (("name", b"FIELDCANARY <b>\r\n{{7*7}}"), ("email", "гостьCANARY@example.org".encode()))
WRONG = b"PASSWORDCANARY"


@dataclass(frozen=True, kw_only=True)
class Refused:
    """A request, what was done before it and what happens while it is answered, and the status and reason."""

    request: bytes
    outcome: tuple[int, str]
    before: Happening = nothing
    meanwhile: Happening = nothing
    healthy: bool = True
    """Whether `/healthz` finds nothing that keeps photos out."""


def whole(*fields: Part, path: str = PATH, headers: tuple[bytes, ...] = ()) -> bytes:
    """A form with its length."""
    body = form(*fields)
    return post(path, FORM_TYPE, *headers, length=len(body)) + body


def posted(photo: bytes = PHOTO, *, path: str = PATH, headers: tuple[bytes, ...] = (), **given: bytes) -> bytes:
    """A booth's form with this photo."""
    return whole(*FIELDS, *parts(photo, **given), path=path, headers=headers)


def other_body(body: bytes, *headers: bytes) -> bytes:
    """A body that is no booth's form."""
    return post(PATH, *headers, length=len(body)) + body


INVALID, NOT_FOUND, WRONG_PASSWORD = (400, "invalid_request"), (404, "slot_not_found"), (401, "invalid_password")
TOO_LARGE, STALLED, NO_ROOM = (413, "payload_too_large"), (408, "upload_stalled"), (503, "storage_full")
HALF = form(*FIELDS, *parts(PHOTO))[:-2000]
OVER = 15 * MEGABYTE + MAX_FORM_BYTES + 1

SLOTS = {
    **{
        f"slot {name}": Refused(request=posted(path=f"/ingest/{path}"), outcome=NOT_FOUND)
        for name, path in {
            "unknown": "slot-016",
            "of dots": "%2e%2e",
            "of 300 characters": "x" * 300,
            "with a NUL": "slot-001%00",
            "in Cyrillic": "%D1%81%D0%BB%D0%BE%D1%82",
        }.items()
    },
    "slot with a line": Refused(request=posted(path="/ingest/slot-001%0Aevent=x"), outcome=(404, "not_found")),
    "slot somewhere else": Refused(request=posted(path="/ingest/../x"), outcome=NOT_FOUND),
    "slot switched off": Refused(request=posted(), outcome=(404, "slot_disabled"), before=switch_off),
}
FORMS = {
    "no content type": Refused(request=other_body(b"password=" + WRONG), outcome=INVALID),
    "urlencoded": Refused(
        request=other_body(b"password=" + WRONG, b"Content-Type: application/x-www-form-urlencoded"), outcome=INVALID
    ),
    "JSON": Refused(request=other_body(b'{"password": "CANARY"}', b"Content-Type: application/json"), outcome=INVALID),
    "no boundary": Refused(
        request=other_body(form(*parts(PHOTO)), b"Content-Type: multipart/form-data"), outcome=INVALID
    ),
    "an odd boundary": Refused(
        request=other_body(form(*parts(PHOTO)), b"Content-Type: multipart/form-data; boundary=" + b"x" * 201),
        outcome=INVALID,
    ),
    "another boundary": Refused(
        request=other_body(form(*parts(PHOTO)), b"Content-Type: multipart/form-data; boundary=another"),
        outcome=INVALID,
    ),
    "a body that is cut": Refused(request=post(PATH, FORM_TYPE, length=len(HALF)) + HALF, outcome=INVALID),
    "an empty body": Refused(request=post(PATH, FORM_TYPE, length=0), outcome=INVALID),
    "41 fields": Refused(request=whole(*[(f"f{n}", b"CANARY") for n in range(41)], *parts(PHOTO)), outcome=INVALID),
    "a field over 64 KiB": Refused(request=whole(("note", b"CANARY" * 12_000), *parts(PHOTO)), outcome=INVALID),
    "a second photo": Refused(request=whole(*parts(PHOTO), ("fileToUpload", PHOTO, "b.jpg")), outcome=INVALID),
    **{
        f"no {missing}": Refused(request=whole(*(part for part in parts(PHOTO) if part[0] != missing)), outcome=INVALID)
        for missing in ("password", "hash", "fileToUpload")
    },
    **{
        f"key {name}": Refused(request=posted(headers=(b"Idempotency-Key:" + key,)), outcome=INVALID)
        for name, key in {"empty": b"", "of 256 characters": b"x" * 256, "not ASCII": "ключ".encode()}.items()
    },
    "a declared length over the cap": Refused(request=post(PATH, FORM_TYPE, length=OVER), outcome=TOO_LARGE),
    "a photo over the cap": Refused(request=posted(PHOTO + bytes(MEGABYTE)), outcome=TOO_LARGE, before=one_megabyte),
    "a chunked body over the cap": Refused(
        request=post(PATH, FORM_TYPE) + chunked(form(*parts(PHOTO + bytes(2 * MEGABYTE)))) + LAST_CHUNK,
        outcome=TOO_LARGE,
        before=one_megabyte,
    ),
    "a body that stalls": Refused(
        request=post(PATH, FORM_TYPE, length=2 * len(HALF)) + HALF, outcome=STALLED, before=impatient
    ),
    "a body that drips": Refused(
        request=post(PATH, FORM_TYPE, length=2 * len(HALF)) + HALF, outcome=STALLED, before=slow_is_too_slow
    ),
}
PASSWORDS = {
    **{
        f"password {name}": Refused(request=posted(password=password), outcome=WRONG_PASSWORD)
        for name, password in {
            "wrong": WRONG,
            "empty": b"",
            "of 1 MB": b"CANARY" * 170_000,
            "in no UTF-8": b"\xff\xfeCANARY",
        }.items()
    },
    "password before there is one": Refused(request=posted(), outcome=WRONG_PASSWORD, before=no_password),
    "password after many guesses": Refused(
        request=posted(password=WRONG), outcome=(429, "rate_limited"), before=guessed_too_often
    ),
    "hash of another file": Refused(
        request=posted(hash_=hashlib.md5(b"another").hexdigest().encode()), outcome=(400, "hash_mismatch")
    ),
    "hash that is none": Refused(request=posted(hash_=b"HASHCANARY"), outcome=(400, "hash_mismatch")),
}
PICTURES = {
    f"picture: {name}": Refused(request=posted(make()), outcome=outcome)
    for made, outcome in (
        (bad_pictures.FOREIGN, (415, "unsupported_media_type")),
        (bad_pictures.TOO_LARGE, TOO_LARGE),
        (bad_pictures.MISSHAPEN, (400, "invalid_image")),
        ({name: bad_pictures.BROKEN[name] for name in ("empty file", "JPEG magic only")}, (400, "invalid_image")),
    )
    for name, make in made.items()
}
FAULTS = {
    "slot full": Refused(request=posted(), outcome=(429, "rate_limited"), before=full_slot),
    "disk full": Refused(request=posted(), outcome=NO_ROOM, before=no_room, healthy=False),
    "folder gone": Refused(request=posted(), outcome=NO_ROOM, before=no_folder, healthy=False),
    "disk away": Refused(request=posted(), outcome=NO_ROOM, before=disk_away, healthy=False),
    "database away": Refused(
        request=posted(), outcome=(503, "database_unavailable"), before=database_away, healthy=False
    ),
    "a mistake of ours": Refused(request=posted(), outcome=(500, "internal_error"), before=mistake_of_ours),
    "upload at the deadline": Refused(
        request=post(PATH, FORM_TYPE, length=2 * len(HALF)) + HALF, outcome=(504, "timeout"), before=one_second
    ),
    "job at the deadline": Refused(request=posted(), outcome=(504, "timeout"), before=one_second),
    **{
        f"job failed: {failure.code}": Refused(
            request=posted(), outcome=(failure.status, failure.code), meanwhile=failing(failure)
        )
        for failure in (Failure.BAD_RESPONSE, Failure.QUOTA, Failure.INVALID_IMAGE, Failure.INTERRUPTED)
    },
}
REFUSED: dict[str, Refused] = SLOTS | FORMS | PASSWORDS | PICTURES | FAULTS
