"""Refusals of the connected accounts' endpoints.

ProblemError
└── NotFoundError
    └── AccountNotFoundError  404 CONNECTED_ACCOUNT_NOT_FOUND
"""

from service_kit.errors import NotFoundError


class AccountNotFoundError(NotFoundError):
    """One answer for an id that never was and for one of another tenant."""

    def __init__(self) -> None:
        super().__init__("CONNECTED_ACCOUNT_NOT_FOUND", "No such connected account")
