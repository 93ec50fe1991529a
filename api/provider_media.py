"""`GET /public/provider-media/{media_id}`: a picture a provider fetches. No login, no redirect; 410 at the end.

The id is the secret. The link obeys the database's clock; whether the file has gone already does not matter.
"""

from starlette.requests import Request
from starlette.responses import Response

from api.pictures import PictureResponse
from api.public import JOB_ID
from api.request_log import note
from api.state import services
from photochanger import provider_media
from photochanger.errors import Failure, Refusal


async def provider_media_file(request: Request) -> Response:
    """The picture, with its type and length; HEAD works. 404 unknown, 410 expired."""
    media_id = request.path_params["media_id"]
    if not JOB_ID.fullmatch(media_id):
        raise Refusal(Failure.MEDIA_NOT_FOUND)
    here = services(request)
    async with here.db.at_once() as conn:
        found = await provider_media.get(conn, media_id)
    if found is None:
        raise Refusal(Failure.MEDIA_NOT_FOUND)
    if found.expired or found.path is None:
        raise Refusal(Failure.MEDIA_EXPIRED)
    note(request, media=media_id[:8])
    file = here.media.regular_file(found.path)
    if file is None:
        raise Refusal(Failure.MEDIA_LOST)
    path, figures = file
    return PictureResponse(path, media_type=found.mime, stat_result=figures, headers={"Cache-Control": "no-store"})
