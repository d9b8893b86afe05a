"""The set of tables of the admin service's own database; each domain adds its own in its `models.py`.

Nothing else in the house may open this database (R-035).
"""

from typing import Final

from service_kit.audit.tables import AuditTables
from service_kit.db.columns import new_metadata
from service_kit.db.service_keys import service_keys_table
from service_kit.jobs.tables import JobTables
from service_kit.web.idempotency import idempotency_table

METADATA: Final = new_metadata()
AUDIT: Final = AuditTables(METADATA)
SERVICE_KEYS: Final = service_keys_table(METADATA)
IDEMPOTENCY: Final = idempotency_table(METADATA)
JOBS: Final = JobTables(METADATA)
