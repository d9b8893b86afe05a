"""The operator whom a path names."""

import re
from typing import Final

from admin_service.operators.errors import OperatorNotFoundError
from service_kit.web.api import Call

_ID: Final = re.compile(r"[A-Za-z0-9_]{1,64}", re.ASCII)


def named_operator(call: Call) -> str:
    """The id in the path. Raises OperatorNotFoundError for text that is no id of anything.

    A path may hold any text: PostgreSQL answers NUL and lone surrogates with an error of its own.
    """
    operator_id = call.path("id")
    if not _ID.fullmatch(operator_id):
        raise OperatorNotFoundError
    return operator_id
