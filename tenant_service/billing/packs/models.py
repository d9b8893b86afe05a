"""Packs as stored: the frozen values that the repository gives.

It asks no database anything.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tenant_service.tenants.models import Currency


@dataclass(frozen=True, slots=True)
class Pack:
    """One pack. Prices are minor units (paise, cents), one for each currency."""

    id: str
    name: str
    replies: int
    sort_order: int
    active: bool
    prices: Mapping[Currency, int]
    created_at: datetime
    updated_at: datetime
    version: int = 1

    @property
    def snapshot(self) -> dict[str, Any]:
        """What history keeps of it, so that the row itself can go (C-16)."""
        return {
            "name": self.name,
            "replies": self.replies,
            "prices": {currency.value: amount for currency, amount in sorted(self.prices.items())},
        }
