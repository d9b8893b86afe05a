"""Turns a frame and a view into one HTML page.

Autoescapes everything and trusts no string: there is no way here to mark a text as safe markup.
"""

from datetime import UTC, date, datetime, tzinfo
from pathlib import Path
from typing import ClassVar, Protocol

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from admin_service.panel import labels
from admin_service.panel.assets import Assets
from admin_service.panel.layout import SIGN_OUT_URL, THEME_URL, THEMES, Frame, document_title
from admin_service.panel.views.audit import OUTCOMES, SEVERITIES

PANEL_FOLDER = Path(__file__).parent
TEMPLATES = PANEL_FOLDER / "templates"
STATIC = PANEL_FOLDER / "static"


class View(Protocol):
    """What a page needs to be rendered: its template, its place in the navigation, its title."""

    template: ClassVar[str]
    section: ClassVar[str]

    @property
    def title(self) -> tuple[str, ...]:
        """From the most particular to the most general."""
        ...


class Renderer:
    """The panel's template environment; made once, at composition."""

    def __init__(self, assets: Assets) -> None:
        self._environment = _environment(assets)

    def render(self, frame: Frame, view: View) -> str:
        """The whole document. Raises jinja2.UndefinedError rather than leave a gap in a page."""
        template = self._environment.get_template(view.template)
        return template.render(
            frame=frame,
            view=view,
            zone=frame.zone,
            document_title=document_title(view.title),
            navigation=frame.navigation(view.section),
        )


def _environment(assets: Assets) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.globals.update(
        asset=assets.url,
        sign_out_url=SIGN_OUT_URL,
        theme_url=THEME_URL,
        themes=THEMES,
        severities=SEVERITIES,
        outcomes=OUTCOMES,
    )
    environment.filters.update(
        iso=iso_time,
        utc_text=utc_text,
        zoned_text=zoned_text,
        day_text=day_text,
        clock_text=clock_text,
        number=number,
        plural=plural,
        role_name=labels.role_name,
        event_label=labels.event_label,
        permission_label=labels.permission_label,
        filter_label=labels.filter_label,
        source_name=labels.source_name,
        owner_label=labels.owner_label,
        currency_name=labels.currency_name,
        provider_name=labels.provider_name,
        sentence=labels.sentence,
        status_tone=labels.status_tone,
        status_icon=labels.status_icon,
    )
    return environment


def iso_time(moment: datetime) -> str:
    """For `<time datetime>`. A naive time raises ValueError: it would be wrong by hours for somebody."""
    return _aware(moment).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def utc_text(moment: datetime) -> str:
    """For the `title`: UTC to the second, whatever the zone of the page."""
    return _aware(moment).astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def zoned_text(moment: datetime, zone: tzinfo, *, seconds: bool = False) -> str:
    """`21 Nov 2026, 14:03` in the operator's zone."""
    local = _aware(moment).astimezone(zone)
    return f"{local.day} {local:%b %Y, %H:%M:%S}" if seconds else f"{local.day} {local:%b %Y, %H:%M}"


def day_text(day: date | datetime, zone: tzinfo | None = None) -> str:
    """`21 Nov 2026`; a time needs the zone whose day is meant."""
    if isinstance(day, datetime):
        day = _aware(day).astimezone(zone or UTC).date()
    return f"{day.day} {day:%b %Y}"


def clock_text(moment: datetime, zone: tzinfo) -> str:
    """`14:03:22` in the operator's zone."""
    return f"{_aware(moment).astimezone(zone):%H:%M:%S}"


def number(value: int) -> str:
    return f"{value:,}"


def plural(count: int, noun: str, many: str | None = None) -> str:
    """`1 member`, `1,204 members`."""
    return f"{count:,} {noun if count == 1 else many or noun + 's'}"


def _aware(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("a time on a page has a zone")
    return moment
