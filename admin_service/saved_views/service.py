"""The rules of saved views: everybody keeps and drops their own, and never sees another's.

It writes no audit row, as for preferences: a view opens nothing that its operator may not see anyway.
"""

import unicodedata
from collections.abc import Sequence
from typing import Final

from admin_service.caller import Caller
from admin_service.operators.own_row import operator_id_of, own_row
from admin_service.operators.repository import OperatorRepository
from admin_service.saved_views.models import (
    LONGEST_NAME,
    LONGEST_QUERY,
    MOST_OF_ONE,
    ListName,
    SavedView,
    TooManyViewsError,
)
from admin_service.saved_views.repository import SavedViewRepository
from service_kit.clock import Clock
from service_kit.db.session import Database
from service_kit.errors import FieldProblem, UnprocessableError
from service_kit.identity.model import InternalIdentity
from service_kit.ids import IdFactory, is_id

_KIND: Final = "view"
_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
"""A name that reverses the text around it, or breaks its line, lies about the menu."""


class SavedViews:
    """The operator's own views."""

    def __init__(
        self,
        database: Database,
        operators: OperatorRepository,
        views: SavedViewRepository,
        ids: IdFactory,
        clock: Clock,
    ) -> None:
        self._database = database
        self._operators = operators
        self._views = views
        self._ids = ids
        self._clock = clock

    async def of(self, identity: InternalIdentity, name: ListName) -> Sequence[SavedView]:
        """Raises EnrollmentRequiredError."""
        async with self._database.read() as session:
            return await self._views.of(session, operator_id_of(identity), name)

    async def save(self, caller: Caller, where: ListName, name: str, query: str) -> None:
        """Keep the address of a list under a name; the same name again is the new address.

        Raises UnprocessableError for a name or an address that is none, TooManyViewsError,
        EnrollmentRequiredError, AccountDeactivatedError.
        """
        view = SavedView(self._ids.new(_KIND), where, _given_name(name), _given_query(query))
        operator_id = operator_id_of(caller.actor)
        async with self._database.write() as session:
            # The row is held: of two saves at once the second sees the first, and the bound holds.
            locked = await self._operators.lock(session, operator_id)
            own_row(caller.actor, locked.get(operator_id))
            kept = {one.name for one in await self._views.of(session, operator_id, where)}
            if view.name not in kept and len(kept) >= MOST_OF_ONE:
                raise TooManyViewsError
            await self._views.put(session, operator_id, view, self._clock.now())

    async def remove(self, caller: Caller, view_id: str) -> None:
        """Raises EnrollmentRequiredError; a view that is gone, or another's, is no error and no hint."""
        operator_id = operator_id_of(caller.actor)
        if not is_id(view_id, _KIND):  # a NUL, say, is what no PostgreSQL takes for a text
            return
        async with self._database.write() as session:
            await self._views.remove(session, operator_id, view_id)


def _given_name(name: str) -> str:
    text = " ".join(name.split())
    if not 1 <= len(text) <= LONGEST_NAME or any(unicodedata.category(one) in _HIDDEN for one in text):
        raise _wrong("name", f"a name has 1 to {LONGEST_NAME} visible characters")
    return text


def _given_query(query: str) -> str:
    if len(query) > LONGEST_QUERY:
        raise _wrong("query", "these filters are too long to keep")
    return query


def _wrong(field: str, message: str) -> UnprocessableError:
    problem = FieldProblem(f"/{field}", "VALUE_ERROR", message)
    return UnprocessableError("VALIDATION_FAILED", message.capitalize(), fields=(problem,))
