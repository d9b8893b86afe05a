"""The outbox and the jobs.

Revision ID: 0007
"""

from service_kit.jobs.schema_v1 import create_job_schema

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_job_schema()
