"""Names in the words of people."""

import re

import pytest

from admin_service.events import CATALOGUE as ADMIN_EVENTS
from admin_service.panel import labels
from admin_service.panel.rendering import STATIC
from admin_service.panel.views.operators import ROLE_OPTIONS
from service_kit.audit.events import Outcome, Severity
from service_kit.identity.model import Permission, Role
from tenant_service.events import CATALOGUE as TENANT_EVENTS

SPRITE = (STATIC / "icons.svg").read_text()


def test_every_role_and_permission_has_a_name() -> None:
    """A page never shows a bare identifier where the house has a word."""
    assert set(labels.ROLE_NAMES) == {str(role) for role in Role}
    assert dict(ROLE_OPTIONS[1:]) == labels.ROLE_NAMES
    assert set(labels.PERMISSION_LABELS) == {str(permission) for permission in Permission}


@pytest.mark.parametrize("event", [event.name for event in (*ADMIN_EVENTS, *TENANT_EVENTS)])
def test_every_event_of_the_catalogues_has_a_label(event: str) -> None:
    """An event that is written has words of its own in the log."""
    assert event in labels.EVENT_LABELS


@pytest.mark.parametrize(
    "state", [*Severity, *Outcome, "active", "suspended", "deleted", "pending", "deactivated"]
)
def test_every_state_is_text_icon_and_colour(state: str) -> None:
    """Rule 9: never colour alone; the icon exists."""
    assert labels.STATUS_LOOKS[str(state)]
    assert f'id="{labels.status_icon(str(state))}"' in SPRITE
    assert re.fullmatch(r"[A-Z][a-z]+", labels.sentence(str(state)))


def test_an_unknown_name_is_shown_as_it_is() -> None:
    """A newer service may know more than this panel: its words are shown, not hidden."""
    assert labels.event_label("billing.invoice.sent_late") == "Billing invoice sent late"
    assert labels.role_name("auditor") == "auditor"
    assert [labels.provider_name(name) for name in ("whatsapp", "email")] == ["WhatsApp", "Email"]
    assert labels.permission_label("x.y") == "x.y"
    assert (labels.status_tone("odd"), labels.status_icon("odd")) == ("neutral", "status-off")
    assert labels.owner_label("waiting_list") == "Waiting list"
    assert labels.currency_name("EUR") == "EUR"
    assert labels.source_name("billing") == "billing"
    assert labels.filter_label("other") == "other"
