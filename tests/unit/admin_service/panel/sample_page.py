"""One sample page: its name, and what it is rendered from."""

from dataclasses import dataclass

from admin_service.panel.layout import Frame
from admin_service.panel.rendering import View


@dataclass(frozen=True, slots=True)
class Page:
    """One page to look at."""

    name: str
    frame: Frame
    view: View
