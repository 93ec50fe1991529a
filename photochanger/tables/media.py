"""The rows of files: pictures with a link of their own, what is to be purged, and how much room all of it takes."""

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, Table, Text

from photochanger.tables.columns import MOMENT, HexId, metadata

media_object = Table(
    "media_object",
    metadata,
    Column("media_object_id", HexId, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("job_id", HexId),
    Column("path", Text),
    Column("mime", Text, nullable=False),
    Column("bytes", Integer, nullable=False),
    Column("sha256", LargeBinary, nullable=False),
    Column("created_at", MOMENT, nullable=False),
    Column("expires_at", MOMENT),
    Column("cleaned_at", MOMENT),
    Column("title", Text),
    Column("width", Integer),
    Column("height", Integer),
    Column("created_by", Text),
)

purge = Table(
    "purge",
    metadata,
    Column("purge_id", BigInteger, primary_key=True),
    Column("slot_id", Text),
    Column("requested_at", MOMENT, nullable=False),
    Column("requested_by", Text, nullable=False),
    Column("finished_at", MOMENT),
    Column("files", Integer),
    Column("bytes", BigInteger),
)

storage_figure = Table(
    "storage_figure",
    metadata,
    Column("name", Text, primary_key=True),
    Column("files", Integer),
    Column("bytes", BigInteger, nullable=False),
    Column("measured_at", MOMENT, nullable=False),
)
