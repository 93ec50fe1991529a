"""What all tables are made of: one metadata, and the types that more than one of them has."""

import uuid
from typing import Any

from sqlalchemy import MetaData
from sqlalchemy.dialects.postgresql import TIMESTAMP, UUID
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator


class HexId(TypeDecorator[str]):
    """128 random bits: 32 lower-case hex digits outside, 16 bytes in the row."""

    impl = UUID(as_uuid=True)
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> Any:
        """Text to the driver's UUID. Raises `ValueError` for anything else than hex digits."""
        return None if value is None else uuid.UUID(hex=value)

    def process_result_value(self, value: Any, dialect: Dialect) -> str | None:
        """The driver's UUID to text."""
        return None if value is None else value.hex


MOMENT = TIMESTAMP(timezone=True)

metadata = MetaData()
