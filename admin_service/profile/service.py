"""The rules of an operator's own profile: everybody reads and changes their own, and nobody another's.

It writes no audit row: the event catalogue has none for the look of a page.
"""

from admin_service.caller import Caller
from admin_service.operators.own_row import operator_id_of, own_row
from admin_service.operators.repository import OperatorRepository
from admin_service.profile.models import PreferenceChange, Preferences, Profile
from admin_service.profile.repository import PreferenceRepository
from service_kit.clock import Clock
from service_kit.db.session import Database
from service_kit.identity.model import InternalIdentity


class ProfileService:
    """The operator who asks, and their preferences."""

    def __init__(
        self,
        database: Database,
        operators: OperatorRepository,
        preferences: PreferenceRepository,
        clock: Clock,
    ) -> None:
        self._database = database
        self._operators = operators
        self._preferences = preferences
        self._clock = clock

    async def of(self, identity: InternalIdentity) -> Profile:
        """Raises EnrollmentRequiredError, AccountDeactivatedError."""
        operator_id = operator_id_of(identity)
        async with self._database.read() as session:
            operator = own_row(identity, await self._operators.by_id(session, operator_id))
            return Profile(operator, await self._preferences.of(session, operator_id))

    async def prefer(self, caller: Caller, change: PreferenceChange) -> Preferences:
        """Change what is given. Raises EnrollmentRequiredError, AccountDeactivatedError."""
        operator_id = operator_id_of(caller.actor)
        async with self._database.write() as session:
            locked = await self._operators.lock(session, operator_id)
            own_row(caller.actor, locked.get(operator_id))
            preferred = _changed(await self._preferences.of(session, operator_id), change)
            await self._preferences.put(session, operator_id, preferred, self._clock.now())
        return preferred


def _changed(before: Preferences, change: PreferenceChange) -> Preferences:
    return Preferences(
        theme=before.theme if change.theme is None else change.theme,
        density=before.density if change.density is None else change.density,
        time_zone=before.time_zone if change.time_zone is None else change.time_zone,
        shortcuts=before.shortcuts if change.shortcuts is None else change.shortcuts,
    )
