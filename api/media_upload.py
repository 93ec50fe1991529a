"""`POST /api/media/register`: an administrator's picture gets a public link for as long as a booth would wait."""

from starlette.requests import Request
from starlette.responses import JSONResponse

from api.access import administrators, session_of
from api.bodies import moment
from api.picture_form import uploaded_picture
from api.request_log import note
from api.state import public_url, services
from photochanger import app_settings, audit, provider_media
from photochanger.placing import put_in_place


@administrators
async def register_media(request: Request) -> JSONResponse:
    """201 with the link and the moment it ends: T_sync_response from now. No extension."""
    here, account = services(request), session_of(request).account
    async with uploaded_picture(request) as uploaded:
        media_id, checked = uploaded.media_id, uploaded.checked
        async with here.db.begin() as conn:
            admin = await app_settings.load(conn, result_ttl_hours=here.settings.result_ttl_hours)
            expires_at = await provider_media.publish_upload(
                conn, media_id=media_id, picture=checked, seconds=admin.sync_response_seconds, by=account
            )
            # The whole id opens the link: the log gets its beginning.
            await audit.record(conn, "upload_registered", actor=account, media=media_id[:8], bytes=checked.size_bytes)
            path = provider_media.upload_path(media_id, checked.mime)
            await put_in_place(here.media, {uploaded.file: path}, are_new=True)
    note(request, media=media_id[:8])
    body = {
        "media_object_id": media_id,
        "url": public_url(request, f"/public/provider-media/{media_id}"),
        "mime": checked.mime,
        "bytes": checked.size_bytes,
        "width": checked.width,
        "height": checked.height,
        "expires_at": moment(expires_at),
    }
    return JSONResponse(body, 201, headers={"Cache-Control": "no-store"})
