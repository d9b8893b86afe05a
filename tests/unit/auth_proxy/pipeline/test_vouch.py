"""Step 6: one signed identity per audience, reused for safe methods for at most five seconds."""

import traceback
from dataclasses import dataclass, field
from typing import Literal

import pytest

from auth_proxy.pipeline.vouch import Voucher
from auth_proxy.refusals import Reason, Refusal
from auth_proxy.routes import Requirement, Route, Target
from service_kit.identity.model import Role
from service_kit.identity.signing import RequestBinding, SigningError, Subject
from tests.fakes.clock import FrozenClock
from tests.unit.auth_proxy.pipeline.values import grant, operator

PANEL = Route("/manage", frozenset({"GET", "POST"}), Requirement.OPERATOR, Target.ADMIN, Target.TENANT)


@dataclass
class RecordingSigner:
    """Signs with a running number and writes down what it was asked to sign."""

    signed: list[tuple[Subject, str, RequestBinding | None, str | None]] = field(default_factory=list)
    is_broken: bool = False

    def sign(
        self,
        subject: Subject,
        *,
        audience: str,
        binding: RequestBinding | None = None,
        delegate: str | None = None,
    ) -> str:
        if self.is_broken:
            raise SigningError
        self.signed.append((subject, audience, binding, delegate))
        return f"token-{len(self.signed)}"


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture
def signer() -> RecordingSigner:
    return RecordingSigner()


@pytest.fixture
def voucher(signer: RecordingSigner, clock: FrozenClock) -> Voucher:
    return Voucher(signer, clock)


def test_a_read_is_signed_for_its_one_audience_unbound(voucher: Voucher, signer: RecordingSigner) -> None:
    """R-005: the identity names person, row, role and roster version."""
    signed = voucher.vouch(grant("/x?y", operator=operator(), roster_version=9))

    subject = Subject("sub-ada", "ada@example.com", "Ada", "adm_ada", Role.SUPPORT, 9)
    assert signed.identity_headers == (("X-Internal-Identity", "token-1"),)
    assert signed.grant == grant("/x?y", operator=operator(), roster_version=9)
    assert signer.signed == [(subject, "frontend", None, None)]


def test_a_person_without_a_row_is_signed_without_one(voucher: Voucher, signer: RecordingSigner) -> None:
    """R-063: no operator id, no role, no name."""
    voucher.vouch(grant())

    assert signer.signed[0][0] == Subject("sub-ada", "ada@example.com")


def test_a_delegation_is_a_second_token_for_the_second_service(
    voucher: Voucher, signer: RecordingSigner
) -> None:
    """The first service may ask the second in the operator's name, and can neither mint nor widen that."""
    signed = voucher.vouch(grant("/manage/x", method="POST", route=PANEL, operator=operator()))

    binding = RequestBinding("POST", "/manage/x")
    assert signed.identity_headers == (
        ("X-Internal-Identity", "token-1"),
        ("X-Internal-Delegation", "token-2"),
    )
    assert [entry[1:] for entry in signer.signed] == [
        ("admin_service", binding, None),
        ("tenant_service", binding, "admin_service"),
    ]


def test_the_delegation_of_a_read_names_its_delegate_too(voucher: Voucher, signer: RecordingSigner) -> None:
    """Unbound and reused, it is still of use to the first service alone."""
    for _ in range(2):
        voucher.vouch(grant("/manage", route=PANEL, operator=operator()))

    assert [entry[1:] for entry in signer.signed] == [
        ("admin_service", None, None),
        ("tenant_service", None, "admin_service"),
    ]


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_a_reads_token_is_reused_for_five_seconds(
    voucher: Voucher, signer: RecordingSigner, clock: FrozenClock, method: str
) -> None:
    """For the same person, role and roster, and not a moment longer."""
    voucher.vouch(grant("/a", operator=operator()))
    clock.advance(4.99)
    again = voucher.vouch(grant("/b?c", method=method, operator=operator()))
    clock.advance(0.02)
    later = voucher.vouch(grant("/a", operator=operator()))

    assert again.identity_headers[0][1] == "token-1"
    assert later.identity_headers[0][1] == "token-2"
    assert len(signer.signed) == 2


@pytest.mark.parametrize(
    "other",
    [
        grant(operator=operator(Role.READ_ONLY)),
        grant(operator=operator(), roster_version=2),
        grant(operator=operator(), sub="sub-eve"),
        grant(operator=None),
        grant(operator=operator(), route=PANEL),
    ],
    ids=["role", "roster version", "subject", "no row", "audience"],
)
def test_no_token_is_reused_for_anybody_else(
    voucher: Voucher, signer: RecordingSigner, other: object
) -> None:
    """A change of role or roster, another person or audience, and a new token is signed."""
    voucher.vouch(grant(operator=operator()))
    signed = voucher.vouch(other)  # type: ignore[arg-type]  # a table of grants

    assert "token-1" not in [token for _, token in signed.identity_headers]
    assert len(signer.signed) >= 2


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_a_change_is_bound_and_never_reused(voucher: Voucher, signer: RecordingSigner, method: str) -> None:
    """R-005: one token per request, for exactly this method and these bytes."""
    for _ in range(2):
        voucher.vouch(grant("/x?y=1", method=method, operator=operator()))

    assert [entry[2] for entry in signer.signed] == [RequestBinding(method, "/x?y=1")] * 2


@pytest.mark.parametrize("binding, tokens", [("unsafe", 1), ("all", 2)])
def test_binding_all_binds_reads_too(
    clock: FrozenClock, binding: Literal["unsafe", "all"], tokens: int
) -> None:
    """INTERNAL_IDENTITY_BINDING=all: no token fits two requests."""
    signer = RecordingSigner()
    voucher = Voucher(signer, clock, binding=binding)
    for _ in range(2):
        voucher.vouch(grant("/x", operator=operator()))

    assert len(signer.signed) == tokens
    assert (signer.signed[0][2] is not None) == (binding == "all")


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_cannot_be_signed_is_refused(voucher: Voucher, signer: RecordingSigner, method: str) -> None:
    """Never forwarded without an identity."""
    signer.is_broken = True
    with pytest.raises(Refusal) as caught:
        voucher.vouch(grant(method=method, operator=operator()))

    assert caught.value.reason is Reason.CANNOT_VOUCH


def test_the_trace_of_a_defect_names_nobody(voucher: Voucher, monkeypatch: pytest.MonkeyPatch) -> None:
    """The log keeps traces of defects: what is looked up by a person's address must not be in one."""

    def broken(*_: object, **__: object) -> str:
        raise ZeroDivisionError

    monkeypatch.setattr(RecordingSigner, "sign", broken)
    with pytest.raises(ZeroDivisionError) as caught:
        voucher.vouch(grant("/x", operator=operator()))

    assert "ada" not in "".join(traceback.format_exception(caught.value))
