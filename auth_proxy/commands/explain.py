"""`auth-proxy explain`: what the sidecar would decide about one request, and why.

The pipeline is the one that serves; only what would leave a trace is left out: no activity, no denial,
no enrollment, and nothing is sent to an upstream. It shows who the token names, because the person who
runs it holds that token; it never shows the token, a signature or a minted identity.
"""

import contextlib
import traceback
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from auth_proxy.commands.live import fresh_signer, operators_now, team_keys
from auth_proxy.commands.report import Report, listed
from auth_proxy.commands.token_claims import UnverifiedToken, judge_token
from auth_proxy.composition.decision import lasting_of, pipeline_of
from auth_proxy.destinations import Destination, StaticFolder
from auth_proxy.header_names import ASSERTION_NAME
from auth_proxy.pipeline.admit import admit
from auth_proxy.pipeline.exchange import Grant, RawRequest, SignedGrant
from auth_proxy.plan import Pipeline
from auth_proxy.refusals import Refusal
from auth_proxy.roster.file import load_operators
from auth_proxy.routes import Route, Target
from auth_proxy.settings import ProxySettings
from auth_proxy.transport.headers import upstream_headers
from auth_proxy.transport.static_files import FileFinder
from auth_proxy.transport.websocket_handshake import read_offer
from service_kit.clock import Clock
from service_kit.identity.model import OPERATOR_PERMISSIONS, Permission, Role, roles_with

_STEPS: Final = "auth_proxy.pipeline."
_TRANSPORT: Final = "auth_proxy.transport."
_REQUEST_ID: Final = "explain"
_THIS_MACHINE: Final = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Question:
    """The request that is asked about. `jwks` are keys to judge by instead of the team's own."""

    target: str
    method: str = "GET"
    host: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    token: str | None = None
    jwks: bytes | None = None

    def raw(self, settings: ProxySettings) -> RawRequest:
        host = self.host or settings.admin_hosts[0]
        proof = () if self.token is None else ((ASSERTION_NAME, self.token),)
        headers = (("Host", host), *self.headers, *proof)
        return RawRequest(
            method=self.method,
            target=self.target,
            version=(1, 1),
            headers=tuple((name.encode(), value.encode()) for name, value in headers),
            peer=_THIS_MACHINE,
            request_id=_REQUEST_ID,
        )


async def explain(settings: ProxySettings, question: Question, clock: Clock) -> Report:
    """The verdict and its reason; status 1 for a refusal.

    Raises KeyFileError, RosterFileError or KeyRefreshError for a file that cannot be used.
    """
    raw = question.raw(settings)
    async with _pipeline(settings, question, clock) as pipeline:
        try:
            signed = await pipeline.decide(raw)
            await _judge_target(signed, settings)
            verdict = _granted(signed, settings)
        except Refusal as refusal:
            verdict = _refused(refusal, _found_route(pipeline, raw))
    verdict["token"] = _token(settings, question, clock)
    verdict["notes"] = list(_notes(settings, verdict))
    return Report(tuple(_lines(verdict)), verdict, status=0 if verdict["verdict"] == "granted" else 1)


@asynccontextmanager
async def _pipeline(settings: ProxySettings, question: Question, clock: Clock) -> AsyncIterator[Pipeline]:
    async with contextlib.AsyncExitStack() as stack:
        signer = fresh_signer(settings, clock)
        keys = await stack.enter_async_context(team_keys(settings, clock, question.jwks))
        operators = await stack.enter_async_context(operators_now(settings, signer, clock))
        yield pipeline_of(settings, lasting_of(settings, keys, operators, signer, clock))


async def _judge_target(signed: SignedGrant, settings: ProxySettings) -> None:
    """What the way to the target refuses without asking it. Raises Refusal."""
    grant, target = signed.grant, _destination(signed, settings)
    try:
        if grant.person.screened.upgrade is not None:
            read_offer(signed)
        elif isinstance(target, StaticFolder):
            await FileFinder(target).find(signed)
    except Refusal as refusal:
        role = grant.operator.role.value if grant.operator else ""
        refusal.at(grant.route.name, role).of(grant.person.sub, grant.person.email)
        raise


def _destination(signed: SignedGrant, settings: ProxySettings) -> Destination | None:
    """A frontend or a folder; None for our services and the sidecar's own answer."""
    destinations = {Target.FRONTEND.value: settings.upstream, **settings.config.destinations}
    return destinations.get(signed.grant.route.target)


def _granted(signed: SignedGrant, settings: ProxySettings) -> dict[str, Any]:
    grant = signed.grant
    return {
        "verdict": "granted",
        "person": {"email": grant.person.email, "sub": grant.person.sub},
        "operator": _operator(grant),
        "rule": _rule(grant.route, grant.operator.role if grant.operator else None),
        "upstream": {
            "target": grant.route.target,
            "audience": grant.route.identity_audience,
            "request": f"{grant.person.screened.inbound.method} {grant.forwarded_target}",
            "headers": _header_names(signed, settings),
            "dropped": grant.person.screened.dropped,
        },
    }


def _header_names(signed: SignedGrant, settings: ProxySettings) -> list[str]:
    """Nothing where no request goes on: a folder of files, or the sidecar's own answer."""
    if signed.grant.route.target == Target.SIDECAR or isinstance(
        _destination(signed, settings), StaticFolder
    ):
        return []
    return sorted(set(upstream_headers(signed, _REQUEST_ID)))


def _operator(grant: Grant) -> dict[str, str] | None:
    if grant.operator is None:
        return None
    return {"id": grant.operator.id, "name": grant.operator.name, "role": grant.operator.role.value}


def _refused(refusal: Refusal, route: Route | None) -> dict[str, Any]:
    answer = refusal.answer
    return {
        "verdict": "refused",
        "step": _step(refusal),
        "reason": refusal.reason.value,
        "why": answer.why,
        "detail": refusal.detail,
        "answer": {"status": answer.status, "code": answer.code, "error": answer.error},
        "fix": answer.fix,
        "person": {"email": refusal.email, "sub": refusal.sub} if refusal.sub else None,
        "rule": _rule(route, Role(refusal.role) if refusal.role else None) if route else None,
    }


def _step(refusal: Refusal) -> str:
    """The step that refused: a reason alone does not tell, because two steps may give the same one."""
    frames = traceback.walk_tb(refusal.__traceback__)
    modules = (str(frame.f_globals.get("__name__")) for frame, _ in frames)
    steps = (_step_of(name) for name in modules)
    return next((step for step in steps if step), "start")


def _step_of(module: str) -> str:
    if module.startswith(_TRANSPORT):
        return "forward"
    return module.removeprefix(_STEPS) if module.startswith(_STEPS) else ""


def _found_route(pipeline: Pipeline, raw: RawRequest) -> Route | None:
    """Where the request would have gone, if it can be read at all."""
    try:
        inbound = admit(raw, pipeline.admit_policy)
    except Refusal:
        return None
    found = pipeline.authorizer.routes.find(inbound.host, inbound.path, inbound.method)
    return found if isinstance(found, Route) else None


def _rule(route: Route, role: Role | None) -> dict[str, Any]:
    needed = route.requirement
    return {
        "route": route.name,
        "target": route.target,
        "needs": route.needs,
        "rolesThatMay": [item.value for item in roles_with(needed)] if isinstance(needed, Permission) else [],
        "role": role.value if role else None,
        "roleHas": sorted(item.value for item in OPERATOR_PERMISSIONS[role]) if role else [],
    }


def _token(settings: ProxySettings, question: Question, clock: Clock) -> list[dict[str, str]]:
    if question.token is None:
        return []
    judged = judge_token(question.token, settings, clock.now())
    findings = judged.findings if isinstance(judged, UnverifiedToken) else (judged,)
    return [finding.document() for finding in findings]


def _notes(settings: ProxySettings, verdict: dict[str, Any]) -> Iterator[str]:
    if settings.dev_gate_is_open:
        yield "The development gate is open: no token was looked at, everybody is LOCAL_DEV_ADMIN_EMAIL."
    if verdict["verdict"] == "granted" and verdict["upstream"]["headers"]:
        yield "Granted means that the request goes on: what the target itself would answer was not asked."
    kind, _, detail = settings.roster_source.partition(":")
    person = verdict.get("person")
    if kind == "file" and person and person["email"] in load_operators(Path(detail)).unpinned:
        yield (
            "The roster file pins no sub for this address: a running sidecar refuses it, "
            "if another sub was the first to prove it."
        )


def _lines(verdict: dict[str, Any]) -> Iterator[str]:
    if verdict["verdict"] == "granted":
        yield from _granted_lines(verdict)
    else:
        yield from _refused_lines(verdict)
    if verdict["token"]:
        yield "the token says"
        for claim in verdict["token"]:
            yield f"  {claim['verdict']:<4}  {claim['name'].removeprefix('token.'):<12}  {claim['seen']}"
            if claim["fix"]:
                yield f"        {'':<12}  fix: {claim['fix']}"
    for note in verdict["notes"]:
        yield f"note      {note}"


def _granted_lines(verdict: dict[str, Any]) -> Iterator[str]:
    upstream, operator = verdict["upstream"], verdict["operator"]
    yield "GRANTED"
    yield f"person    {verdict['person']['email']} (sub {verdict['person']['sub']})"
    yield f"operator  {operator['name']}, {operator['role']}" if operator else "operator  none"
    yield from _rule_lines(verdict["rule"])
    yield f"upstream  {upstream['target']} would get {upstream['request']}"
    yield f"audience  {upstream['audience']}"
    yield f"headers   {listed(upstream['headers'])}"


def _refused_lines(verdict: dict[str, Any]) -> Iterator[str]:
    answer, detail = verdict["answer"], verdict["detail"]
    yield "REFUSED"
    yield f"step      {verdict['step']}"
    yield f"reason    {verdict['reason']}{f' ({detail})' if detail else ''}: {verdict['why']}"
    yield f"answer    {answer['status']} {answer['code']} {answer['error']!r}"
    if verdict["person"]:
        yield f"person    {verdict['person']['email']} (sub {verdict['person']['sub']})"
    if verdict["rule"]:
        yield from _rule_lines(verdict["rule"])
    yield f"fix       {verdict['fix']}"


def _rule_lines(rule: dict[str, Any]) -> Iterator[str]:
    yield f"route     {rule['route']} to {rule['target']}"
    roles = f" (held by {listed(rule['rolesThatMay'])})" if rule["rolesThatMay"] else ""
    yield f"needs     {rule['needs']}{roles}"
    if rule["role"]:
        yield f"role      {rule['role']} has {listed(rule['roleHas'])}"
