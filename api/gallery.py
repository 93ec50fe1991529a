"""`GET /public/slots/{slot_id}`: a slot's last results, for guests. No login, no ids of anything else."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from api.bodies import moment
from api.public import spend_public
from api.request_log import note
from api.state import public_url, services
from photochanger import app_settings
from photochanger.errors import Failure, Refusal
from photochanger.gallery import Gallery, gallery_of
from photochanger.slots import SLOT_ID


async def slot_gallery(request: Request) -> Response:
    """The gallery as JSON. 404 for an unknown slot; one that is switched off shows what it has."""
    found = await current_gallery(request)
    body = {
        "display_name": found.display_name,
        "results": [
            {
                "result_url": public_url(request, f"/public/results/{result.job_id}"),
                "preview_url": public_url(request, f"/public/results/{result.job_id}/preview"),
                "created_at": moment(result.created_at),
                "expires_at": moment(result.expires_at),
            }
            for result in found.results
        ],
    }
    return JSONResponse(body, headers={"Cache-Control": "no-store"})


async def current_gallery(request: Request) -> Gallery:
    """The gallery of the slot in the path, as large as the settings say. Raises `Refusal`."""
    await spend_public(request)
    slot_id = request.path_params["slot_id"]
    if not SLOT_ID.fullmatch(slot_id):
        raise Refusal(Failure.SLOT_NOT_FOUND)
    note(request, slot=slot_id)
    here = services(request)
    async with here.db.begin() as conn:
        admin = await app_settings.load(conn, result_ttl_hours=here.settings.result_ttl_hours)
        found = await gallery_of(conn, slot_id, limit=admin.gallery_size)
    if found is None:
        raise Refusal(Failure.SLOT_NOT_FOUND)
    return found
