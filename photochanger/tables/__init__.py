"""The rows, as SQLAlchemy Core sees them. Without behaviour; the migrations carry constraints and indexes.

A test proves that these columns and the migrated database agree.
"""

from photochanger.tables.administration import app_settings as app_settings
from photochanger.tables.administration import login_failure as login_failure
from photochanger.tables.administration import provider_check as provider_check
from photochanger.tables.administration import secret as secret
from photochanger.tables.administration import session as session
from photochanger.tables.administration import slot as slot
from photochanger.tables.administration import slot_template as slot_template
from photochanger.tables.administration import slot_version as slot_version
from photochanger.tables.columns import MOMENT as MOMENT
from photochanger.tables.columns import HexId as HexId
from photochanger.tables.columns import metadata as metadata
from photochanger.tables.figures import alert as alert
from photochanger.tables.figures import hourly_attempts as hourly_attempts
from photochanger.tables.figures import hourly_figure as hourly_figure
from photochanger.tables.figures import hourly_watermark as hourly_watermark
from photochanger.tables.figures import sweep_run as sweep_run
from photochanger.tables.media import media_object as media_object
from photochanger.tables.media import purge as purge
from photochanger.tables.media import storage_figure as storage_figure
from photochanger.tables.queue import breaker as breaker
from photochanger.tables.queue import job as job
from photochanger.tables.queue import job_attempt as job_attempt
from photochanger.tables.queue import job_input as job_input
from photochanger.tables.queue import processing_log as processing_log
from photochanger.tables.queue import runner as runner
