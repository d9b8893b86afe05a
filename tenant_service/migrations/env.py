"""Alembic's entry: it runs on the connection that `service_kit.db.migrations` opened and locked."""

from alembic import context
from sqlalchemy import Connection

from tenant_service.tables import schema


def run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=schema().metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        transactional_ddl=True,
    )
    with context.begin_transaction():
        context.run_migrations()


run(context.config.attributes["connection"])
