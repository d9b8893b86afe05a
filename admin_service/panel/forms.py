"""The forms of the panel, under the panel's own name; the kit reads and proves them."""

from service_kit.web.forms import (
    CSRF_FIELD,
    IDEMPOTENCY_FIELD,
    MOST_FIELDS,
    MOST_FORM_BYTES,
    TOKEN_SECONDS,
    Form,
    FormTokens,
    new_idempotency_key,
    read_form,
    require_own_origin,
)

__all__ = [
    "CSRF_FIELD",
    "IDEMPOTENCY_FIELD",
    "MOST_FIELDS",
    "MOST_FORM_BYTES",
    "TOKEN_SECONDS",
    "Form",
    "FormTokens",
    "new_idempotency_key",
    "read_form",
    "require_own_origin",
]
