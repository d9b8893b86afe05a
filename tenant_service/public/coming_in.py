"""Accepting and signing in, counted by outcome: what the API and the forms have in common."""

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import Counter

from service_kit.errors import ProblemError
from tenant_service.people.accepting import Entrant
from tenant_service.people.sessions import NewSession
from tenant_service.public.plane import DOORS
from tenant_service.public.registry import Visit


async def accepted(visit: Visit, link: str, name: str, password: str) -> NewSession | None:
    """What `Accepting.accept` gives and raises."""
    with _counted(visit.request.app[DOORS].accepts):
        entrant = Entrant(name, password)
        return await visit.plane.accepting.accept(visit.visitor, link, entrant, already=visit.signed_in)


async def signed_in(visit: Visit, email: str, password: str) -> NewSession:
    """What `Signing.sign_in` gives and raises."""
    with _counted(visit.request.app[DOORS].sign_ins):
        return await visit.plane.signing.sign_in(visit.visitor, email, password)


@contextmanager
def _counted(outcomes: Counter) -> Iterator[None]:
    """The labels are the codes of refusals, a closed set."""
    try:
        yield
    except ProblemError as error:
        outcomes.labels(error.code.lower()).inc()
        raise
    except Exception:
        outcomes.labels("error").inc()
        raise
    outcomes.labels("success").inc()
