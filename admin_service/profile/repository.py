"""Every statement about preferences."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from admin_service.profile.models import OPERATOR_PREFERENCES, Density, Preferences, Theme
from service_kit.db.session import ReadSession, WriteSession

_T = OPERATOR_PREFERENCES.c


class PreferenceRepository:
    """The preferences' table."""

    async def of(self, session: ReadSession, operator_id: str) -> Preferences:
        row = await session.first(select(OPERATOR_PREFERENCES).where(_T.admin_id == operator_id))
        if row is None:
            return Preferences()
        return Preferences(
            theme=Theme(row["theme"]),
            density=Density(row["density"]),
            time_zone=row["time_zone"],
            shortcuts=row["shortcuts"],
        )

    async def put(
        self, session: WriteSession, operator_id: str, preferences: Preferences, now: datetime
    ) -> None:
        values = {
            "theme": preferences.theme.value,
            "density": preferences.density.value,
            "time_zone": preferences.time_zone,
            "shortcuts": preferences.shortcuts,
            "updated_at": now,
        }
        make = postgres_insert if session.dialect == "postgresql" else sqlite_insert
        await session.execute(
            make(OPERATOR_PREFERENCES)
            .values(admin_id=operator_id, **values)
            .on_conflict_do_update(index_elements=["admin_id"], set_=values)
        )
