"""The operators' API as one document and as a page (http-api 3.2): whole, true, and for operators only."""

import json
from collections.abc import Iterator, Mapping
from typing import Any
from xml.etree.ElementTree import Element

import html5lib
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from openapi_spec_validator import validate

from auth_proxy.routes import BUILT_IN, Target
from service_kit.errors import NotFoundError
from service_kit.identity.model import Role
from service_kit.web.openapi_parts import is_operators
from tenant_service.app import endpoints as tenant_endpoints
from tests.fakes.tenant_api import FakeTenantApi
from tests.integration.panel.back_office import BackOffice, House, Shown, shown

DOCUMENT = "/api/admin/openapi.json"
PAGE = "/api/admin/docs"
PLAIN = {"Accept": "application/json"}


def read(answer: Shown) -> dict[str, Any]:
    assert answer.status == 200, answer.text
    document: dict[str, Any] = json.loads(answer.text)
    return document


def operations(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    return ((method.upper(), path) for path, methods in document["paths"].items() for method in methods)


def of_tenant_service() -> set[tuple[str, str]]:
    return {(row.method, row.path) for row in tenant_endpoints() if is_operators(row.path)}


async def serves(app: web.Application, method: str, path: str) -> bool:
    """Whether the router of a service has a handler for it."""
    match = await app.router.resolve(make_mocked_request(method, path.replace("{", "").replace("}", "")))
    return match.http_exception is None


def is_routed(method: str, path: str, target: Target) -> bool:
    """Whether the sidecar leads such a request there; the most specific of its routes decides."""
    segments = path.split("/")
    fitting = [
        route
        for route in BUILT_IN
        if method in route.methods
        and len(parts := route.pattern.split("/")) <= len(segments)
        and all(part in ("*", segment) for part, segment in zip(parts, segments, strict=False))
    ]
    return any(route.target is target for route in fitting)


async def test_the_document_is_both_services(both: House) -> None:
    """http-api 3.2: valid OpenAPI 3.1; the operators' operations of both, served and routed, and no other."""
    document = read(await both.office.get(DOCUMENT, Role.READ_ONLY))
    told, theirs = set(operations(document)), of_tenant_service()

    validate(document)  # it refuses an operationId of two operations, too
    assert "x-partial" not in document
    assert {path for _, path in told if not is_operators(path)} == set()
    assert {path for _, path in told if path.startswith("/internal")} == set()
    assert theirs <= told
    assert {("GET", DOCUMENT), ("GET", PAGE), ("POST", "/api/access-sso")} <= told - theirs
    for method, path in told:
        is_theirs = (method, path) in theirs
        app = both.tenant.apps.internal if is_theirs else both.office.apps.internal
        assert await serves(app, method, path), (method, path)
        assert is_routed(method, path, Target.TENANT if is_theirs else Target.ADMIN), (method, path)


async def test_any_operator_may_read_them(office: BackOffice) -> None:
    """http-api 3.2: each role, and the same for each."""
    for role in Role:
        assert (await office.get(DOCUMENT, role)).status == 200
        assert (await office.get(PAGE, role)).status == 200


async def test_nobody_else_may(office: BackOffice) -> None:
    """R-063, R-064: no identity, a person who is no operator, an operator who was deactivated meanwhile."""
    await office.add_operator(Role.SUPPORT, sub="sub-gone", name="gone", deactivated_at=office.clock.now())
    for path in (DOCUMENT, PAGE):
        unproven = await shown(await office.client.get(path, headers=PLAIN))
        stranger = await office.get(path, None, headers=PLAIN)
        gone = await office.get(path, Role.SUPPORT, operator_id="adm_gone", sub="sub-gone", headers=PLAIN)

        assert (unproven.status, stranger.status, gone.status) == (401, 403, 403)
        for refused in (unproven, stranger, gone):
            assert json.loads(refused.text)["code"]
            assert refused.headers["Content-Type"].startswith("application/problem+json")


async def test_a_refused_person_gets_a_page_at_the_page(office: BackOffice) -> None:
    """A browser that asks for the page is refused with a page, one that asks for the document with JSON."""
    page, document = await office.get(PAGE, None), await office.get(DOCUMENT, None)

    assert page.headers["Content-Type"].startswith("text/html")
    assert document.headers["Content-Type"].startswith("application/problem+json")


async def test_without_the_tenant_service_it_has_what_is_here(office: BackOffice) -> None:
    """architecture.md 9: 200 with this service's part, and `x-partial` says what is missing."""
    document = read(await office.get(DOCUMENT))
    page = await office.get(PAGE)
    words = page.words

    validate(document)
    assert document["x-partial"]["missing"] == ["tenant"]
    assert ("GET", "/api/admin/me") in set(operations(document))
    assert set(operations(document)) & of_tenant_service() == set()
    assert "Its operations are missing below." in words
    assert "GET /api/admin/me" in words


async def test_an_older_tenant_service_is_a_missing_part(office: BackOffice, tenants: FakeTenantApi) -> None:
    """During a rolling update it may not have the endpoint yet: its 404 is not this service's."""
    tenants.steer.refuses = NotFoundError("NOT_FOUND", "Not found")

    assert read(await office.get(DOCUMENT))["x-partial"]["missing"] == ["tenant"]


async def test_it_is_not_sent_twice(both: House) -> None:
    """The ETag is of the content: 304 while it is the same; without a leave of the tenant service another."""
    first = await both.office.get(DOCUMENT, Role.SUPPORT)
    tag = first.headers["Etag"]
    again = await both.office.get(DOCUMENT, Role.SECURITY, headers={"If-None-Match": f'"x", W/{tag}'})
    other = await both.office.get(DOCUMENT, delegated=False, headers={"If-None-Match": tag})

    assert first.headers["Cache-Control"] == again.headers["Cache-Control"] == "private, no-cache"
    assert (again.status, again.text, again.headers["Etag"]) == (304, "", tag)
    assert "x-partial" in read(other)
    assert other.headers["Etag"] != tag
    assert (await both.office.get(DOCUMENT)).headers["Etag"] == tag


async def test_the_page_tells_every_operation(both: House) -> None:
    """Each with its permission, parameters, answers, codes; valid HTML, one h1, links that lead somewhere."""
    document = read(await both.office.get(DOCUMENT))
    page = await both.office.get(PAGE, Role.READ_ONLY)
    tree = strictly(page)
    ids = [one.get("id") for one in tree.iter() if one.get("id")]
    links = {link.get("href", "") for link in tree.iter("a")}
    sections = {name: " ".join(one.itertext()) for name, one in told_in(tree).items()}

    assert [" ".join(one.itertext()) for one in tree.iter("h1")] == ["API"]
    assert len(ids) == len(set(ids))
    assert {link[1:] for link in links if link.startswith("#")} <= set(ids)
    for method, path in operations(document):
        told, text = document["paths"][path][method.lower()], sections[f"{method} {path}"]
        assert [each for each in wanted_of(told) if each not in text] == []
    assert set(sections) == {f"{method} {path}" for method, path in operations(document)}
    assert {f"schema-{name}" for name in document["components"]["schemas"]} <= set(ids)


def wanted_of(told: Mapping[str, Any]) -> Iterator[str]:
    """The words that an operation's section must have."""
    yield told["x-permission"]
    yield from (each["name"] for each in told["parameters"])
    yield from (f"Answer {status}" for status in told["responses"] if status != "default")
    yield from ["Body"] if "requestBody" in told else []
    codes = told["responses"]["default"]["description"].removeprefix("Refused; codes: ")
    yield from (code for code in codes.split(", ") if code.isupper())


def strictly(page: Shown) -> Element:
    """The page as a strict parser reads it."""
    assert page.status == 200
    builder = html5lib.getTreeBuilder("etree")
    parser = html5lib.HTMLParser(tree=builder, strict=True, namespaceHTMLElements=False)
    tree: Element = parser.parse(page.text)
    return tree


def told_in(tree: Element) -> dict[str, Element]:
    """The section of each operation, by its heading."""
    return {
        "".join(heading.itertext()): section
        for section in tree.iter("section")
        for heading in section.findall("h3")
    }


async def test_the_page_is_filtered_by_words(office: BackOffice) -> None:
    """`q`: every word must be in the method, the path, the permission or the summary."""
    found = await office.get(f"{PAGE}?q=POST+Global-admins")
    none = await office.get(f"{PAGE}?q=no-such-thing%3Cb%3E")
    names = set(told_in(strictly(found)))

    assert "POST /api/admin/global-admins/{id}/deactivate" in names
    assert {name for name in names if not name.startswith("POST /api/admin/global-admins")} == set()
    assert 'value="POST Global-admins"' in found.text
    assert "schema-Problem" in found.text
    assert "schema-CatalogueModel" not in found.text
    assert told_in(strictly(none)) == {}
    assert "No operations match" in none.words
    assert "no-such-thing<b>" in none.words


async def test_a_wrong_query_is_refused(office: BackOffice) -> None:
    """A parameter that nobody knows, and words without an end."""
    assert (await office.get(f"{PAGE}?words=x")).status == 400
    assert (await office.get(f"{PAGE}?q={'x' * 121}")).status == 400


async def test_the_manual_leads_there(office: BackOffice) -> None:
    """P-27: the help has the page and the document; the page leads back."""
    assert {PAGE, DOCUMENT} <= (await office.get("/manage/help")).links
    assert {"/manage/help", DOCUMENT} <= (await office.get(PAGE)).links
