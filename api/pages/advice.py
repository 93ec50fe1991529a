"""What to do about each failure, for the people of the studio: in words, for every reason there is."""

from collections.abc import Mapping

from api.pages.language import marked
from photochanger.errors import Failure

OF_THE_FORM: Mapping[Failure, str] = {
    Failure.INVALID_REQUEST: marked(
        "The booth's program must send password, hash and fileToUpload: the slot's page has the list of fields."
    ),
    Failure.HASH_MISMATCH: marked(
        "The booth's program computes another hash, or the file broke on its way. The settings can ease the check."
    ),
    Failure.INVALID_IMAGE: marked("The file is damaged. Take the photo again; if it stays, look at the camera's card."),
    Failure.INVALID_PASSWORD: marked("Copy the ingest password into the booth's program anew: it has been changed."),
    Failure.SLOT_NOT_FOUND: marked("The booth posts to an address that does not exist: copy the slot's link again."),
    Failure.SLOT_DISABLED: marked("Switch the slot on on its page."),
    Failure.UPLOAD_STALLED: marked("The venue's network is too slow: move the router closer or send smaller photos."),
    Failure.IDEMPOTENCY_CONFLICT: marked(
        "The booth's program used one number for two photos. Restart it, or switch its Idempotency-Key off."
    ),
    Failure.PAYLOAD_TOO_LARGE: marked("Have the booth's program send smaller photos, or raise the slot's limit."),
    Failure.UNSUPPORTED_MEDIA_TYPE: marked("Have the booth's program send JPEG, PNG or WEBP: no RAW, no HEIC."),
    Failure.RATE_LIMITED: marked(
        "The slot has as many photos in work as it may. Wait, or raise the limit in the settings."
    ),
}
"""The photo was not taken in."""
OF_THE_PROVIDER: Mapping[Failure, str] = {
    Failure.BAD_RESPONSE: marked("The provider answered nonsense. If it stays, choose a fallback for the slot."),
    Failure.CONTENT_BLOCKED: marked("The provider found something in the photo or the prompt. Make the prompt milder."),
    Failure.NO_IMAGE: marked("Say in the prompt more clearly that a picture is wanted, or try another model."),
    Failure.PROVIDER_4XX: marked("The provider did not like the request: look at the slot's settings."),
    Failure.PROVIDER_UNAVAILABLE: marked("The provider is down. A fallback in the slot helps until it is back."),
    Failure.QUOTA: marked("The provider's account is used up: top it up, or set a fallback."),
    Failure.NETWORK: marked("Look at this server's connection to the internet."),
    Failure.PROVIDER_AUTH: marked("Check the provider's key in the settings."),
    Failure.TIMEOUT: marked("A faster model or a longer deadline helps; see how long the attempts took."),
}
"""The provider has not changed it."""
OF_THE_HOUSE: Mapping[Failure, str] = {
    Failure.INTERNAL_ERROR: marked("Run the photo again. If it stays, the server's log has the error."),
    Failure.MEDIA_LOST: marked(
        "A file is missing: choose the slot's template picture anew, or look at the server's disk."
    ),
    Failure.INTERRUPTED: marked("A runner stopped in the middle. Run the photo again."),
    Failure.STORAGE_FULL: marked("Make room on the server's disk."),
    Failure.DATABASE_UNAVAILABLE: marked("The database was away. Run the photo again, or look at the server."),
}
"""We have not kept our part."""
ADVICE: Mapping[Failure, str] = {**OF_THE_FORM, **OF_THE_PROVIDER, **OF_THE_HOUSE}
FOR_JOBS = (
    *OF_THE_PROVIDER,
    Failure.INVALID_IMAGE,
    Failure.INTERRUPTED,
    Failure.STORAGE_FULL,
    Failure.MEDIA_LOST,
    Failure.INTERNAL_ERROR,
)
"""Those that a photo can end with once it was taken in: what the log can be filtered by."""
