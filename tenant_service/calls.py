"""From an authorised HTTP call to the words of the services, which know no HTTP."""

from service_kit.web.api import Call
from tenant_service.asking import Asker


def asker_of(call: Call) -> Asker:
    origin = call.origin
    return Asker(call.actor, origin.request_id, origin.ip, origin.user_agent)
