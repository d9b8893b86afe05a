"""What comes in and goes out of the pack endpoints (http-api 3.2, "Billing"): prices are minor units."""

from datetime import datetime
from typing import Annotated, Any, Final, Self, TypeVar

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from service_kit.money import MOST_MINOR, shown
from service_kit.web.schemas import ApiModel, PlainText, QueryModel, null_is_refused
from tenant_service.billing.packs.models import Pack
from tenant_service.tenants.models import Currency

PackName = Annotated[PlainText, StringConstraints(min_length=1, max_length=80)]
Replies = Annotated[int, Field(ge=1, le=1_000_000_000)]
SortOrder = Annotated[int, Field(ge=0, le=1_000_000)]
Minor = Annotated[int, Field(ge=1, le=MOST_MINOR)]
_MOST_PACKS: Final = 500
M = TypeVar("M", bound=ApiModel)


class Prices(ApiModel):
    """Paise and cents. Both are required: a pack is offered to every tenant, whatever its currency."""

    inr: Minor = Field(alias="INR")
    usd: Minor = Field(alias="USD")

    @property
    def by_currency(self) -> dict[Currency, int]:
        return {Currency.INR: self.inr, Currency.USD: self.usd}


class NewPack(ApiModel):
    """The body of `POST /api/admin/credit-packs` (R-025)."""

    name: PackName
    replies: Replies
    prices: Prices
    sort_order: SortOrder
    active: bool = True


def _some_of_them(schema: dict[str, Any]) -> None:
    """What `_with_something` asks for, as a client reads it."""
    schema["minProperties"] = 1
    null_is_refused(schema)


class NewPrices(ApiModel):
    """The prices that change."""

    model_config = ConfigDict(json_schema_extra=_some_of_them)

    inr: Minor | None = Field(default=None, alias="INR")
    usd: Minor | None = Field(default=None, alias="USD")

    @model_validator(mode="after")
    def _something_and_no_null(self) -> Self:
        return _with_something(self)


class PackChange(ApiModel):
    """The body of `PATCH …/{id}` (R-026): any field; what is absent stays."""

    model_config = ConfigDict(json_schema_extra=_some_of_them)

    name: PackName | None = None
    replies: Replies | None = None
    prices: NewPrices | None = None
    sort_order: SortOrder | None = None
    active: bool | None = None

    @model_validator(mode="after")
    def _something_and_no_null(self) -> Self:
        return _with_something(self)


def _with_something(change: M) -> M:
    """`null` is no value of any field here: it must not pass for "as it was". Raises ValueError."""
    given = change.model_fields_set
    if not given or any(getattr(change, name) is None for name in given):
        raise ValueError("give at least one field, and no null")
    return change


class PackOrder(ApiModel):
    """The body of `POST …/reorder`: every pack, in the new order."""

    ids: list[Annotated[str, StringConstraints(max_length=64)]] = Field(max_length=_MOST_PACKS)


class PackQuery(QueryModel):
    include_inactive: bool = True


class PackDeletion(QueryModel):
    confirm: str = Field(default="", max_length=200)


class PackModel(ApiModel):
    """One pack. `priceDisplay` is what people read: `₹2,99,900.00`, `$36.00`."""

    id: str
    name: str
    replies: int
    prices: dict[str, int]
    price_display: dict[str, str]
    active: bool
    sort_order: int
    version: int
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, pack: Pack) -> Self:
        prices = {currency.value: pack.prices[currency] for currency in Currency}
        return cls(
            id=pack.id,
            name=pack.name,
            replies=pack.replies,
            prices=prices,
            price_display={code: shown(amount, code) for code, amount in prices.items()},
            active=pack.active,
            sort_order=pack.sort_order,
            version=pack.version,
            created_at=pack.created_at,
            updated_at=pack.updated_at,
        )

    @property
    def as_json(self) -> dict[str, Any]:
        return self.model_dump(mode="json", by_alias=True)


class PackList(ApiModel):
    data: list[PackModel]
