"""How results of tenant endpoints become answers: links of a list, and bodies as they are kept and shown."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from service_kit.web.api import Call, Reply
from service_kit.web.pages import PageModel


def as_shown(result: BaseModel) -> Mapping[str, Any]:
    """The body as JSON, for what holds no secret."""
    return result.model_dump(mode="json", by_alias=True)


def linked(call: Call, body: BaseModel, page: PageModel) -> Reply:
    """A list with its `Link` header (RFC 8288).

    The references are relative: this service does not know its own public name.
    """
    cursors = (("next", page.next_cursor), ("prev", page.prev_cursor))
    links = [
        f'<{call.request.rel_url.update_query(cursor=cursor)}>; rel="{relation}"'
        for relation, cursor in cursors
        if cursor is not None
    ]
    return Reply(body, headers={"Link": ", ".join(links)} if links else {})
