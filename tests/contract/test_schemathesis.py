"""The OpenAPI documents against the running services: what a document says is what they answer.

Each operation is sent generated requests, right ones and wrong ones, with ids that exist in a share of them.
Fixed by a seed and small; `SALLYPORT_SCHEMATHESIS_EXAMPLES=200` looks deeper.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode, Response
from schemathesis.checks import CheckFunction
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from service_kit.identity.model import Role
from tests.fixtures.described import Described, House, Signature, destroys, running_house

EXAMPLES: Final = int(os.environ.get("SALLYPORT_SCHEMATHESIS_EXAMPLES", "3"))
NEVER_ENDS: Final = frozenset({"GET /internal/v1/roster/feed"})
CHECKS: Final[list[CheckFunction]] = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
AnyCase = Case[Any]
AnyOperation = APIOperation[Any, Any, Any, Any]
_CODE: Final = re.compile(r"\b[A-Z][A-Z0-9_]{3,}\b")
DOCUMENTS: Final = ("admin_service", "tenant_service", "tenant_public")
pytestmark = pytest.mark.timeout(0 if "SALLYPORT_SCHEMATHESIS_EXAMPLES" in os.environ else 180)


@dataclass
class Findings:
    """What was answered against the document, each kind once, and every status that came."""

    defects: dict[tuple[str, str], str] = field(default_factory=dict)
    statuses: set[tuple[str, int]] = field(default_factory=set)

    def add(self, operation: str, defect: str, told: object) -> None:
        self.defects.setdefault((operation, defect), str(told)[:3000])

    def report(self) -> str:
        lines = [f"{name}: {defect}\n{told}\n" for (name, defect), told in sorted(self.defects.items())]
        return "\n".join(lines)


@dataclass(frozen=True)
class Explorer:
    """Sends the requests of one document, and judges the answers."""

    described: Described
    session: requests.Session
    findings: Findings

    def explore(self, operation: AnyOperation, mode: GenerationMode) -> None:
        @settings(
            max_examples=EXAMPLES,
            derandomize=True,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(mode), data=st.data())
        def send(case: AnyCase, data: st.DataObject) -> None:
            self._settle(case, data.draw)
            role = data.draw(st.sampled_from([Role.SUPER_ADMIN, Role.SUPER_ADMIN, Role.SUPPORT]))
            self.ask(case, role)

        try:
            send()
        except Unsatisfiable:
            return  # there is no wrong request: every text is a path parameter

    def ask(self, case: AnyCase, role: Role) -> Response:
        """Send, signed for exactly this request, and judge the answer."""
        definition = self.described.document["paths"][case.path][case.method.lower()]
        signature = Signature(self.described, definition["x-permission"], role)
        answer = case.call(
            base_url=self.described.url,
            session=self.session,
            auth=signature,
            allow_redirects=False,
        )
        self._judge(case, answer, definition)
        return answer

    def _judge(self, case: AnyCase, answer: Response, definition: Mapping[str, Any]) -> None:
        label = case.operation.label
        self.findings.statuses.add((label, answer.status_code))
        try:
            case.validate_response(answer, checks=CHECKS)
        except FailureGroup as group:
            for failure in group.exceptions:
                self.findings.add(label, type(failure).__name__, group)
        status = HTTPStatus(answer.status_code)
        if status < HTTPStatus.BAD_REQUEST:
            # The document's `default` answer is for refusals: a success has its own entry.
            if str(status.value) not in definition["responses"]:
                self.findings.add(label, f"undocumented {status}", answer.text)
            return
        code = answer.json()["code"]
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            self.findings.add(label, f"{status} {code}", case.as_curl_command())
        if code not in self._codes(definition):
            self.findings.add(label, f"undocumented {status} {code}", case.as_curl_command())

    def _codes(self, definition: Mapping[str, Any]) -> list[str]:
        own = definition["responses"]["default"]["description"]
        return _CODE.findall(f"{own} {self.described.document['info']['description']}")

    def _settle(self, case: AnyCase, draw: Callable[[st.SearchStrategy[Any]], Any]) -> None:
        """Let the case name something that exists, three times of four."""
        parts: list[MutableMapping[str, Any]] = [case.path_parameters, case.query, case.headers]
        for part in parts:
            for name in list(part or ()):
                values = self.described.values(case.method, case.path, name)
                if values and draw(st.integers(0, 3)):
                    part[name] = draw(st.sampled_from(values))
        body = self.described.bodies.get(case.operation.label)
        if body is not None and draw(st.booleans()):
            case.body = body


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """All services, with data in them."""
    with running_house(tmp_path_factory.mktemp("described")) as running:
        yield running


@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_answers_are_as_documented(house: House, document: str) -> None:
    """Style 7: no 5xx, no undocumented status or code, and each body and media type as its schema says."""
    described = house.described(document)
    findings = Findings()
    with requests.Session() as session:
        session.trust_env = False
        explorer = Explorer(described, session, findings)
        for operation in operations(described):
            for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
                explorer.explore(operation, mode)

    assert not findings.defects, findings.report()
    fulfilled = {label for label, status in findings.statuses if status < HTTPStatus.BAD_REQUEST}
    assert len(fulfilled) > len(operations(described)) / 2, "most requests were refused: nothing is proven"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_member_that_no_schema_declares_is_refused(house: House, document: str) -> None:
    """http-api 3.0: every endpoint that takes a body answers 422 to a member that it does not know."""
    described, findings = house.described(document), Findings()
    answers = {}
    with requests.Session() as session:
        session.trust_env = False
        explorer = Explorer(described, session, findings)
        for operation in operations(described):
            if operation.body:
                case = operation.Case(
                    path_parameters={p.name: "x" for p in operation.path_parameters},
                    body={"undeclaredMember": 1},
                    media_type="application/json",
                )
                answer = explorer.ask(case, Role.SUPER_ADMIN)
                pointers = [one["pointer"] for one in answer.json().get("errors", [])]
                answers[operation.label] = (answer.status_code, "/undeclaredMember" in pointers)

    assert not findings.defects, findings.report()
    assert answers
    assert set(answers.values()) == {(422, True)}, answers


def operations(described: Described) -> list[AnyOperation]:
    """Every operation whose answer has an end; what destroys comes last."""
    schema = schemathesis.openapi.from_dict(dict(described.document))
    found = [result.ok() for result in schema.get_all_operations() if isinstance(result, Ok)]
    assert len(found) == sum(map(len, described.document["paths"].values()))
    ending = [operation for operation in found if operation.label not in NEVER_ENDS]
    return sorted(ending, key=lambda operation: (destroys(operation.method, operation.path), operation.label))
