"""Finds the names of those who did something, where a row keeps nothing but their id."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from admin_service.panel.context import PanelServices
from admin_service.panel.views.parts import Author

NO_NAMES: Final[Mapping[str, str]] = MappingProxyType({})


async def names_of(services: PanelServices, ids: Iterable[str | None]) -> Mapping[str, str]:
    """The names of the operators among them; one question for a whole page."""
    return await services.operators.names({one for one in ids if one})


def author(names: Mapping[str, str], operator_id: str) -> Author:
    """Who it was, by name where it is known."""
    return Author(operator_id, names.get(operator_id, ""))
