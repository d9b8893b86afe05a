"""Refusals of the feature flags' endpoints.

ProblemError
├── NotFoundError
│   └── UnknownFlagError   404 UNKNOWN_FLAG
└── PreconditionFailedError
    └── FlagChangedError   412 VERSION_CONFLICT
"""

from service_kit.errors import NotFoundError, PreconditionFailedError
from tenant_service.tenants.schemas import FeatureFlag


class UnknownFlagError(NotFoundError):
    """The settings name no such flag."""

    def __init__(self) -> None:
        super().__init__("UNKNOWN_FLAG", "There is no such feature flag")


class FlagChangedError(PreconditionFailedError):
    """The flag is not what the caller saw; the answer carries what it is now (http-api 3.0)."""

    def __init__(self, current: FeatureFlag) -> None:
        super().__init__(
            "VERSION_CONFLICT",
            "Somebody changed this flag meanwhile",
            headers={"ETag": f'"{current.version}"'},
            extra={"current": current.model_dump(mode="json", by_alias=True)},
        )
