"""What comes in and goes out of the endpoints about oneself."""

from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, AwareDatetime, ConfigDict, StringConstraints, model_validator

from admin_service.profile.models import Density, PreferenceChange, Preferences, Profile, Theme
from service_kit.identity.model import OPERATOR_PERMISSIONS, Permission, Role
from service_kit.web.schemas import ApiModel, null_is_refused


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: the name of a folder of zones
        raise ValueError("must be a time zone such as UTC or Asia/Kolkata") from None
    return name


TimeZone = Annotated[
    # The pattern first: a name is looked up as a file.
    str,
    StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}$", max_length=64),
    AfterValidator(_known_zone),
]


class PreferencesModel(ApiModel):
    theme: Theme
    density: Density
    time_zone: str
    shortcuts: bool

    @classmethod
    def of(cls, preferences: Preferences) -> Self:
        return cls(
            theme=preferences.theme,
            density=preferences.density,
            time_zone=preferences.time_zone,
            shortcuts=preferences.shortcuts,
        )


class PreferencesBody(ApiModel):
    """`PATCH /api/admin/me/preferences`: what is left out stays as it is."""

    model_config = ConfigDict(json_schema_extra=null_is_refused)

    theme: Theme | None = None
    density: Density | None = None
    time_zone: TimeZone | None = None
    shortcuts: bool | None = None

    @model_validator(mode="before")
    @classmethod
    def _null_is_no_value(cls, data: Any) -> Any:
        if isinstance(data, dict) and None in data.values():
            raise ValueError("a preference cannot be null; leave it out to keep it")
        return data

    @property
    def change(self) -> PreferenceChange:
        return PreferenceChange(self.theme, self.density, self.time_zone, self.shortcuts)


class MeModel(ApiModel):
    """The caller: who they are here, what they may do, and what they prefer."""

    id: str
    email: str
    name: str
    role: Role
    permissions: list[Permission]
    preferences: PreferencesModel
    last_active_at: AwareDatetime | None

    @classmethod
    def of(cls, profile: Profile) -> Self:
        operator = profile.operator
        return cls(
            id=operator.id,
            email=operator.email,
            name=operator.name,
            role=operator.role,
            permissions=sorted(OPERATOR_PERMISSIONS[operator.role]),
            preferences=PreferencesModel.of(profile.preferences),
            last_active_at=operator.last_active_at,
        )
