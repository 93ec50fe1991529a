"""The sentences that runners, the queue and the health check leave in rows, as patterns: one for each way to say it.

They stand there in English, for programs and logs. `%(name)s` is a fact in it: `told` another such sentence, `words`
somebody else's, a provider's or a library's, which stay as they are. tests/test_spoken.py reads the code and finds each
sentence here that it can say.
"""

from api.pages.language import marked

OUTCOMES = {
    "ok": marked("a picture"),
    "content_blocked": marked("refused for its content"),
    "no_image": marked("no picture"),
    "invalid_request": marked("request refused"),
    "model_retired": marked("the model is gone"),
    "auth": marked("key refused"),
    "quota_exhausted": marked("quota used up"),
    "rate_limited": marked("too many requests"),
    "provider_unavailable": marked("provider not available"),
    "network": marked("not reached"),
    "ambiguous": marked("the answer was lost"),
    "timeout": marked("no answer in time"),
    "bad_response": marked("unusable answer"),
    "interrupted": marked("interrupted"),
    "not_kept": marked("came too late to be kept"),
}
"""How an attempt ended, by the code in its row (runner/driver.py, `Outcome`)."""

CALLS = (
    marked("%(told)s: the photo may be in the queue"),
    marked("HTTP %(status)s: %(told)s"),
    marked("HTTP %(status)s %(code)s: %(words)s"),
    marked("HTTP %(status)s %(code)s"),
    marked("HTTP %(status)s"),
    marked("no time was left for the call"),
    marked("no answer before the deadline"),
    marked("the provider did not answer in time"),
    marked("the answer is longer than %(count)s MB"),
    marked("the answer is not HTTP: %(words)s"),
    marked("lost after the request was sent: %(words)s"),
    marked("the provider's address is none: %(words)s"),
    marked("the prepared picture cannot be read: %(words)s"),
    marked("there is no API key"),
    marked("the API key is not one line of plain characters"),
    marked("the answer is not a model's description"),
    marked("%(mime)s pictures are not taken"),
    marked("the request is longer than %(count)s MB"),
    marked("the prompt is longer than %(count)s characters"),
    marked("%(model)s takes no %(count)s pictures"),
    marked("%(model)s takes no %(setting)s %(wanted)s, only: %(choices)s"),
    marked("%(model)s takes no size %(wanted)s, only within: %(choices)s"),
    marked("the %(role)s is no JPEG, PNG or WEBP under %(count)s MB"),
    marked("there is no picture for: %(roles)s"),
    marked("there is no public link for: %(roles)s"),
    marked("providers.json names no method for %(operation)s"),
)
"""A call that was not made, or whose answer did not come."""

ANSWERS = (
    marked("the request was blocked: %(words)s"),
    marked("the request was blocked"),
    marked("the answer is not Gemini's JSON"),
    marked("the answer holds nothing of Gemini's"),
    marked("no candidates"),
    marked("no finish reason"),
    marked("an unreadable reason"),
    marked("a candidate of another shape"),
    marked("a part of another shape"),
    marked("a picture without its bytes"),
    marked("the picture is not base64"),
    marked("%(code)s, no picture but drafts: %(words)s"),
    marked("%(code)s, no picture but drafts"),
    marked("%(code)s, no picture: %(words)s"),
    marked("%(code)s, no picture"),
    marked("the answer's list of pictures is empty"),
    marked("the answer holds no list of pictures"),
    marked("the content is forbidden: %(words)s"),
    marked("the content is forbidden"),
    marked("the provider refused the picture's quality: %(words)s"),
    marked("the provider refused the picture's quality"),
    marked("the photo credits are used up: %(words)s"),
    marked("the photo credits are used up"),
    marked("the provider is busy: %(words)s"),
    marked("the provider is busy"),
    marked("the provider could not fetch our picture: %(words)s"),
    marked("the provider could not fetch our picture"),
    marked("the provider found no face in the picture: %(words)s"),
    marked("the provider found no face in the picture"),
    marked("the provider refused the picture's size: %(words)s"),
    marked("the provider refused the picture's size"),
    marked("the provider refused the request: %(words)s"),
    marked("the provider refused the request"),
    marked("the answer has no usable queueid"),
    marked("finished, but no picture is named"),
    marked("the answer says neither success nor failure"),
    marked("the answer lists no methods"),
    marked("the answer is not Turbotext's JSON"),
    marked("no time was left to download the result"),
    marked("the result did not arrive in time"),
    marked("the result could not be downloaded: %(words)s"),
    marked("the download of the result was answered with HTTP %(status)s"),
    marked("the result is longer than %(count)s bytes"),
    marked("the result's address is refused: %(told)s"),
    marked("it redirects too often"),
    marked("it is no URL"),
    marked("it names a user"),
    marked("it is not https on port 443"),
    marked("its host is no name"),
    marked("it does not lead to the internet"),
    marked("the picture was not kept"),
)
"""What came back was no picture."""

QUEUE = (
    marked("its turn would come too late"),
    marked("the provider's minute is full"),
    marked("the day's requests are used up"),
    marked("%(model)s has failed %(count)s times in a row and is not asked for a while"),
    marked("The monthly budget of %(provider)s is used up."),
    marked("its runner's lease ran out; the slot allows to repeat the call"),
    marked("its runner's lease ran out"),
    marked("the runner stopped in the middle of the call"),
    marked("the runner stops"),
    marked("accepted"),
    marked("pending"),
)
"""Why a job was parked, given back or not called for at all."""

PICTURES = (
    marked("The photo's file is missing."),
    marked("The slot has no template picture for %(role)s."),
    marked("The template picture for %(role)s was deleted: %(media)s."),
    marked("The template picture for %(role)s is missing: %(media)s."),
    marked("The template picture for %(role)s cannot be used: %(media)s. %(told)s"),
    marked("PUBLIC_MEDIA_BASE_URL is not set, and this provider fetches its pictures."),
    marked("The disk for pictures is not there."),
    marked("The picture has too many pixels."),
    marked("The picture took longer than %(count)s seconds."),
    marked("The picture could not be decoded within the limits."),
    marked("The %(kind)s picture is cut off."),
    marked("The %(kind)s picture has too many segments."),
    marked("The %(kind)s picture has too many chunks."),
    marked("The PNG picture is damaged: a checksum is wrong."),
    marked("The PNG picture does not have one header."),
    marked("The PNG picture cannot be understood."),
    marked("The picture cannot be written as any of %(choices)s."),
    marked("The picture cannot be brought down to %(count)s bytes."),
    marked("The file is empty."),
    marked("The picture's header cannot be read."),
    marked("The picture is %(width)s × %(height)s pixels; at most %(count)s megapixels are accepted."),
    marked("The picture is %(width)s × %(height)s pixels; each side must have at least %(count)s."),
    marked("The picture is %(width)s × %(height)s pixels; no side may be over %(count)s times the other."),
    marked("The picture needs too much memory to decode."),
    marked("The picture cannot be decoded: %(words)s"),
)
"""What is wrong with a photo, a template or a result's file."""

HEALTH = (
    marked("the database does not answer"),
    marked("%(folder)s cannot be written, or is not the right folder"),
    marked("there is too little room for photos"),
    marked("nothing is known of schema"),
    marked("nothing is known of runners"),
    marked("nothing is known of cleanup"),
    marked("nothing is known of providers"),
    marked("%(provider)s %(model)s is not asked after %(count)s failures in a row"),
    marked("%(provider)s does not accept our key"),
    marked("the schema is another release's"),
    marked("no runner was seen for %(seconds)s s"),
    marked("the cleanup daemon does not show itself"),
    marked("The key is good."),
    marked("The check failed on our side."),
)
"""What the health check says (api/health.py), and the check of a provider's key (runner/key_checks.py)."""

BARE = (marked("%(reason)s: %(words)s"), marked("%(reason)s"))
"""A provider's own name for its reason, after all others."""
