"""From what was typed to what is searched for; it refuses what would show half of everybody."""

from service_kit.email_address import normalise_email
from service_kit.errors import BadRequestError, FieldProblem
from tenant_service.support.errors import query_too_broad
from tenant_service.support.models import LEAST_CHARACTERS, Field, Match, Wanted


def wanted_of(email: str, q: str, match: Match | None) -> Wanted:
    """Raises BadRequestError `QUERY_TOO_BROAD`, or `QUERY_INVALID` for two texts or no address."""
    if email and q:
        raise _invalid("q", "give either email or q")
    if len(email or q) < LEAST_CHARACTERS:
        raise query_too_broad()
    if q:
        return Wanted(Field.ANY, match or Match.PREFIX, q)
    if match is None or match is Match.EXACT:
        return Wanted(Field.EMAIL, Match.EXACT, _address(email))
    return Wanted(Field.EMAIL, match, email)


def _address(email: str) -> str:
    try:
        return normalise_email(email)
    except ValueError as error:
        raise _invalid("email", str(error)) from None


def _invalid(name: str, message: str) -> BadRequestError:
    problem = FieldProblem(f"/{name}", "VALUE_ERROR", message)
    return BadRequestError("QUERY_INVALID", "A query parameter is wrong", fields=(problem,))
