"""What the conditions of slots depend on (photochanger/slot_condition.py), as this process finds it."""

from sqlalchemy.ext.asyncio import AsyncConnection

from api.state import Services
from photochanger import breaker, secret_store
from photochanger.app_settings import AppSettings
from photochanger.slot_condition import Surroundings


async def surroundings(conn: AsyncConnection, here: Services, settings: AppSettings) -> Surroundings:
    """As they are now."""
    stored = await secret_store.stored(conn)
    keyed = {
        name
        for name in here.providers.by_name
        if secret_store.provider_key(name) in stored or here.settings.provider_key(name) is not None
    }
    simulated = not keyed and here.settings.simulators_url is not None
    return Surroundings(
        providers=here.providers,
        keyed=set(here.providers.by_name) if simulated else keyed,
        simulated=simulated,
        circuits=await breaker.open_circuits(conn),
        places=settings.photos_in_work_per_slot,
    )
