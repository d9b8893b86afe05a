"""Reading operators, and checking the one who asks against their own row (R-039, R-064, R-065, R-091).

It changes nobody's standing: `provisioning` and `standing` do, each change in one transaction with its
audit rows. It speaks neither HTTP nor SQL.
"""

from collections.abc import Collection, Mapping, Sequence

from admin_service.operators.errors import OperatorNotFoundError
from admin_service.operators.models import Operator, OperatorFilter, Sighting
from admin_service.operators.own_row import operator_id_of, own_row
from admin_service.operators.repository import OperatorRepository
from service_kit.clock import Clock
from service_kit.db.session import Database
from service_kit.identity.model import InternalIdentity
from service_kit.web.pages import MOST_ROWS, Page, cut, read_cursor
from service_kit.web.paging import CursorCodec


class OperatorService:
    """What is known about operators."""

    def __init__(
        self,
        *,
        database: Database,
        operators: OperatorRepository,
        clock: Clock,
        cursors: CursorCodec,
    ) -> None:
        self._database = database
        self._operators = operators
        self._clock = clock
        self._cursors = cursors

    async def page(
        self, wanted: OperatorFilter, *, limit: int = MOST_ROWS, cursor: str | None = None
    ) -> Page[Operator]:
        """Operators, newest first. Raises BadRequestError `INVALID_CURSOR`."""
        filters = {"list": "operators", **wanted.as_dict()}
        position = read_cursor(self._cursors, cursor, filters)
        async with self._database.read() as session:
            rows = await self._operators.page(session, wanted, position=position, limit=limit + 1)
        return cut(
            rows,
            limit=limit,
            position=position,
            key=lambda operator: (operator.created_at, operator.id),
            encode=lambda place: self._cursors.encode(place, filters),
        )

    async def by_id(self, operator_id: str) -> Operator:
        """One operator. Raises OperatorNotFoundError."""
        async with self._database.read() as session:
            row = await self._operators.by_id(session, operator_id)
        if row is None:
            raise OperatorNotFoundError
        return row

    async def names(self, operator_ids: Collection[str]) -> Mapping[str, str]:
        """The names of those who are operators, or were; whatever else stands among the ids is left out."""
        async with self._database.read() as session:
            rows = await self._operators.by_ids(session, operator_ids)
        return {operator_id: row.name for operator_id, row in rows.items()}

    async def me(self, identity: InternalIdentity) -> Operator:
        """The caller's own row. Raises EnrollmentRequiredError, AccountDeactivatedError."""
        async with self._database.read() as session:
            row = await self._operators.by_id(session, operator_id_of(identity))
        return own_row(identity, row)

    async def confirmed(self, identity: InternalIdentity) -> InternalIdentity:
        """The identity with the role that its row has now: the row decides, not the token (R-039, R-064).

        A person who claims to be no operator, and a process, pass as they are.
        Raises EnrollmentRequiredError, AccountDeactivatedError.
        """
        if identity.operator_id is None:
            return identity
        return (await self.me(identity)).speaks(identity)

    async def seen(self, sightings: Sequence[Sighting]) -> None:
        """Note when operators were last at work (R-065); a time in the future counts as now."""
        now = self._clock.now()
        async with self._database.write() as session:
            for sighting in sorted(sightings, key=lambda seen: seen.operator_id):
                at = min(sighting.at, now)
                await self._operators.mark_seen(session, Sighting(sighting.operator_id, at))
