"""Renders every page of the panel with sample data, serves them on loopback and takes pictures; run by hand.

    python -m tests.browser.preview OUTPUT_FOLDER [--only NAME] [--serve]

Each page is taken light and dark, at 1440 and at 390 pixels, under the panel's own CSP; a violation
or an error of the module is printed. It is a tool for looking, not a test.
"""

import argparse
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from admin_service.panel.assets import URL_PREFIX, Assets
from admin_service.panel.layout import page_headers
from admin_service.panel.rendering import STATIC, Renderer
from tests.unit.admin_service.panel.hostile_pages import ATTACK, LONG, SPOKEN_LONG, hostile_pages
from tests.unit.admin_service.panel.sample_pages import PAGES, Page
from tests.unit.admin_service.panel.sample_values import NONCE

CHROMIUM = "/usr/bin/chromium"
WIDTHS = (1440, 390)
THEMES = ("light", "dark")


def every_page() -> dict[str, Page]:
    pages = {page.name: page for page in PAGES}
    for prefix, text in (("long", LONG), ("words", SPOKEN_LONG), ("attack", ATTACK)):
        pages |= {f"{prefix}-{page.name}": page for page in hostile_pages(text)}
    return pages


class PreviewHandler(BaseHTTPRequestHandler):
    """`/<theme>/<page>` is a page, everything under the asset prefix is a static file."""

    assets: Assets
    renderer: Renderer

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        if path.startswith(URL_PREFIX):
            asset = self.assets.find(path.removeprefix(URL_PREFIX))
            if asset is not None:
                return self.answer(200, asset.body, {"Content-Type": asset.content_type})
        if path == "/manage/live":
            return self.answer(204, b"", {})  # what tells a browser to ask no more
        # the drawer of the audit log follows a real link
        name = "/light/audit-detail" if path.startswith("/manage/audit/") else path
        theme, _, page_name = name.removeprefix("/").partition("/")
        page = every_page().get(page_name)
        if page is None or theme not in THEMES:
            return self.answer(404, b"no such preview", {"Content-Type": "text/plain"})
        html = self.renderer.render(
            replace(page.frame, theme="dark" if theme == "dark" else "light"), page.view
        )
        headers = {"Content-Type": "text/html; charset=utf-8", **page_headers(NONCE, upgrade=False)}
        return self.answer(200, html.encode(), headers)

    def answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        with suppress(ConnectionError):  # the tab went on to the next page
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the base class names it so
        pass


@contextmanager
def serving() -> Iterator[str]:
    """The origin of a server on loopback that lives as long as the block."""
    PreviewHandler.assets = Assets.load(STATIC)
    PreviewHandler.renderer = Renderer(PreviewHandler.assets)
    server = ThreadingHTTPServer(("127.0.0.1", 0), PreviewHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def take_pictures(browser: Browser, origin: str, names: list[str], folder: Path) -> None:
    for width in WIDTHS:
        tab = browser.new_page(viewport={"width": width, "height": 900})
        tab.on(
            "console", lambda message: print("console:", message.text) if message.type == "error" else None
        )
        tab.on("pageerror", lambda error: print("page error:", error))
        for theme in THEMES:
            for name in names:
                tab.goto(f"{origin}/{theme}/{name}")
                tab.wait_for_timeout(120)
                overflow = tab.evaluate("document.documentElement.scrollWidth - innerWidth")
                if overflow > 0:
                    print(f"{name} at {width}: {overflow} px wider than the window")
                tab.screenshot(path=folder / f"{name}-{theme}-{width}.png", full_page=True)
        tab.close()


def take_open_states(browser: Browser, origin: str, folder: Path) -> None:
    """What a page shows only after a click: the account menu, the shortcuts, the filters, the drawer."""
    clicks = {
        "account": ("dashboard", [".account"]),
        "shortcuts": ("dashboard", [".account", ".menu button"]),
        "filters": ("audit", [".filter-panel summary"]),
        "json": ("audit", [".json summary >> nth=4"]),
        "drawer": ("audit", [".row-link >> nth=4"]),
        "chart": ("dashboard", [".plain summary"]),
        "copied": ("tenant", [".icon-button >> nth=0"]),
    }
    for width in WIDTHS:
        tab = browser.new_page(viewport={"width": width, "height": 900})
        tab.on(
            "console", lambda message: print("console:", message.text) if message.type == "error" else None
        )
        for theme in THEMES:
            for name, (page, selectors) in clicks.items():
                tab.goto(f"{origin}/{theme}/{page}")
                for selector in selectors:
                    tab.click(selector)
                tab.wait_for_timeout(400)
                tab.screenshot(path=folder / f"open-{name}-{theme}-{width}.png")
        tab.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", action="append", default=[], help="part of a page's name")
    parser.add_argument("--serve", action="store_true", help="keep serving, take no pictures")
    options = parser.parse_args()
    names = [name for name in every_page() if not options.only or any(part in name for part in options.only)]
    options.folder.mkdir(parents=True, exist_ok=True)
    with serving() as origin:
        print(origin)
        if options.serve:
            sys.stdin.read()
            return
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=CHROMIUM, args=["--no-sandbox", "--disable-background-networking"]
            )
            take_pictures(browser, origin, names, options.folder)
            if not options.only or "open" in options.only:
                take_open_states(browser, origin, options.folder)
            browser.close()


if __name__ == "__main__":
    main()
