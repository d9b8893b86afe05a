"""The bearer code of an invitation (G-16, data-model 2.5)."""

import hashlib
import io
import re

from service_kit.ids import IdFactory
from service_kit.telemetry.logging import redact
from tenant_service.invitations.code import InvitationCode
from tests.fakes.clock import FrozenClock


def new_code() -> InvitationCode:
    return InvitationCode.new(IdFactory(FrozenClock()).new("inv"))


def test_a_code_is_a_public_id_and_a_secret_of_26_characters() -> None:
    """`inv_<26 public>_<26 secret>`."""
    code = new_code()

    assert re.fullmatch(r"inv_[0-9A-HJKMNP-TV-Z]{26}_[0-9A-HJKMNP-TV-Z]{26}", code.full)
    assert code.full.startswith(f"{code.public_id}_")


def test_secrets_do_not_repeat() -> None:
    """Two codes of one public id have nothing else in common."""
    assert len({InvitationCode.new("inv_1").secret for _ in range(1000)}) == 1000


def test_the_digest_is_of_the_secret_alone() -> None:
    """What is stored cannot be turned into the code, and depends on every character of the secret."""
    code = InvitationCode("inv_1", "SECRET")

    assert code.secret_hash == hashlib.sha256(b"SECRET").hexdigest()


def test_a_code_prints_without_its_secret() -> None:
    """Neither `repr` nor a log line shows it."""
    code = new_code()
    out = io.StringIO()

    print(code, redact(None, "", {"event": f"made {code.full}"}), file=out)

    assert code.secret not in out.getvalue()
