"""Forward-auth answers on the operations listener, where settings name a proxy that asks for them."""

from aiohttp import web

from auth_proxy.composition.operators import Operators
from auth_proxy.decision_log import DecisionLog
from auth_proxy.forward_auth.endpoint import ForwardAuth
from auth_proxy.gate import Gate
from auth_proxy.settings import ProxySettings
from service_kit.clock import Clock


def answer_proxies(
    ops: web.Application,
    settings: ProxySettings,
    gate: Gate,
    operators: Operators,
    *,
    log: DecisionLog,
    clock: Clock,
) -> None:
    """Let the operations listener decide for the proxies that AUTH_PROXY_FORWARD_AUTH names, if any."""
    if not settings.forward_auth:
        return
    answers = ForwardAuth(
        lambda: gate.plan.pipeline,
        log,
        clock,
        enabled=settings.forward_auth,
        denials=operators.denials,
        can_enroll=settings.admin_service is not None,
    )
    ops.middlewares.append(answers.middleware)
