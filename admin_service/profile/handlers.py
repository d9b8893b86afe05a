"""The endpoints about oneself: thin, and without a rule of their own."""

from typing import Final

from admin_service.profile.schemas import MeModel, PreferencesBody, PreferencesModel
from admin_service.profile.service import ProfileService
from service_kit.web.api import Audience, Call, Endpoint

_ME: Final = "/api/admin/me"
_OWN_ROW: Final = ("PERMISSION_DENIED", "ENROLLMENT_REQUIRED", "ACCOUNT_DEACTIVATED")


def endpoints(profiles: ProfileService) -> tuple[Endpoint, ...]:
    """Who I am here, and how I like the panel."""

    async def me(call: Call) -> MeModel:
        return MeModel.of(await profiles.of(call.actor))

    async def prefer(call: Call) -> PreferencesModel:
        body: PreferencesBody = call.body
        return PreferencesModel.of(await profiles.prefer(call, body.change))

    return (
        Endpoint(
            "GET",
            _ME,
            Audience.OPERATOR,
            me,
            "The operator who asks, what they may do, and what they prefer.",
            returns=MeModel,
            errors=_OWN_ROW,
        ),
        Endpoint(
            "PATCH",
            f"{_ME}/preferences",
            Audience.OPERATOR,
            prefer,
            "Change one's own preferences; what is left out stays as it is.",
            body=PreferencesBody,
            returns=PreferencesModel,
            errors=("VALIDATION_FAILED", *_OWN_ROW),
        ),
    )
