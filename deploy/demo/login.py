"""Decides how the stand-in edge asks for a login, and where to go after one; it trusts no given address."""

from urllib.parse import quote

from aiohttp import web

LOGIN_PATH = "/cdn-cgi/access/login"
LONGEST_RETURN = 4096
FIRST_PRINTABLE, DELETE = 0x21, 0x7F


def is_navigation(request: web.Request) -> bool:
    """Whether a person looks at the answer; a script gets a status instead of a page."""
    if request.headers.get("X-Requested-With", "").lower() == "xmlhttprequest":
        return False
    mode = request.headers.get("Sec-Fetch-Mode")
    if mode is not None:
        return mode == "navigate"
    return "text/html" in request.headers.get("Accept", "")


def login_url(return_to: str) -> str:
    """The chooser's address that comes back to `return_to`."""
    return f"{LOGIN_PATH}?redirect_url={quote(local_path(return_to), safe='')}"


def local_path(candidate: str) -> str:
    r"""The candidate if it is a path of this host that the sidecar answers, else `/`.

    Browsers read `//host`, `/\host` and a path with a tab or a line end in it as another host (open
    redirect); a path below `/cdn-cgi/` would sign the person out again, or loop.
    """
    printable = all(FIRST_PRINTABLE <= ord(character) < DELETE for character in candidate)
    local = candidate.startswith("/") and not candidate.startswith("//") and "\\" not in candidate
    own = candidate.startswith("/cdn-cgi/")
    return candidate if printable and local and not own and len(candidate) <= LONGEST_RETURN else "/"


def ask_for_login(request: web.Request) -> web.Response:
    """302 to the chooser for a person, 401 for a script, 403 for a preflight: as Access answers them."""
    if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
        return web.json_response({"error": "Access does not pass a preflight"}, status=403)
    target = login_url(request.raw_path)
    if is_navigation(request):
        return web.Response(status=302, headers={"Location": target, "Cache-Control": "no-store"})
    body = {"error": "Access login required", "login": target}
    return web.json_response(body, status=401, headers={"Cache-Control": "no-store"})
