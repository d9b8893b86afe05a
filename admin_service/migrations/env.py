"""Alembic's entry: it runs on the connection that `service_kit.db.migrations` opened and locked."""

from alembic import context
from sqlalchemy import Connection

import admin_service.enrollment.models
import admin_service.operators.models
import admin_service.profile.models
import admin_service.saved_views.models
import admin_service.sessions.models  # noqa: F401 - the models add their tables to the set
from admin_service.tables import METADATA


def run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=METADATA,
        render_as_batch=connection.dialect.name == "sqlite",
        transactional_ddl=True,
    )
    with context.begin_transaction():
        context.run_migrations()


run(context.config.attributes["connection"])
