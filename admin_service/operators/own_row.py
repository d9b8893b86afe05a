"""The operator row behind an identity; it is found by its id and never by e-mail address (R-060)."""

from admin_service.operators.errors import AccountDeactivatedError, EnrollmentRequiredError
from admin_service.operators.models import Operator, OperatorState
from service_kit.identity.model import InternalIdentity


def operator_id_of(identity: InternalIdentity) -> str:
    """The row that the identity names. Raises EnrollmentRequiredError when it names none."""
    if identity.operator_id is None:
        raise EnrollmentRequiredError
    return identity.operator_id


def own_row(identity: InternalIdentity, row: Operator | None) -> Operator:
    """The row, if it is this person's and lets them in.

    Raises AccountDeactivatedError (R-064), EnrollmentRequiredError (R-063).
    """
    if row is not None and row.state is OperatorState.DEACTIVATED:
        raise AccountDeactivatedError
    if row is None or row.access_sub is None or row.access_sub != identity.subject:
        raise EnrollmentRequiredError
    return row
