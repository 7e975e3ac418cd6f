"""Somebody at a browser: signs in, goes to pages, and keeps what the browser complains about."""

import re
from typing import Any, Literal

from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Response

from tests.console.office import PASSWORD

DESK, PHONE = 1440, 360
"""Widths in CSS pixels."""
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
"""What axe looks for: WCAG 2.2 AA, and what is good beyond it."""
REFUSED = re.compile(r"Failed to load resource: the server responded with a status of (4\d\d|503)")
"""What Chromium says of a page that is an answer to a mistake: not an error of the page."""


class Visitor:
    """A browser context with one page.

    Args:
        browser: Chromium.
        url: of the console.
        script: whether JavaScript is on.
    """

    def __init__(self, browser: Browser, url: str, *, script: bool = True) -> None:
        self.url = url
        self.context = browser.new_context(
            base_url=url,
            java_script_enabled=script,
            viewport={"width": DESK, "height": 900},
            timezone_id="America/New_York",
        )
        self.context.set_default_timeout(15_000)
        self.page: Page = self.context.new_page()
        self.complaints: list[str] = []
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.complaints.append(f"{self.page.url}: {error}"))

    def sign_in(self, name: str, password: str = PASSWORD) -> None:
        """Fill in the form of the sign-in."""
        self.page.goto("/sign-in")
        self.page.get_by_label("User name").fill(name)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name="Sign in").click()

    def go(self, path: str) -> Response:
        """Open a page of the console."""
        response = self.page.goto(path)
        assert response is not None
        return response

    def look(self, theme: Literal["light", "dark"], width: int) -> None:
        """Choose the colours of the next pages, and how wide the window is."""
        self.context.add_cookies([{"name": "faxline-theme", "value": theme, "url": self.url}])
        self.resize(width)

    def resize(self, width: int) -> None:
        """Choose how wide the window is."""
        self.page.set_viewport_size({"width": width, "height": 900})

    @property
    def text(self) -> str:
        """What the main part of the page says."""
        return self.page.locator("main").inner_text()

    @property
    def note(self) -> Locator:
        """What the page says about what was just done."""
        return self.page.locator("p.note[role=status]")

    def sideways(self) -> int:
        """By how many pixels the page is wider than the window."""
        wide: int = self.page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        return wide

    def findings(self, axe: str) -> list[str]:
        """What axe finds on the page: the rule, and the elements that break it.

        Args:
            axe: the source of axe-core. It runs beside the page's own policy, which would refuse it.
        """
        if not self.page.evaluate("'axe' in window"):
            self.page.evaluate(axe)
        found: Any = self.page.evaluate(
            f"axe.run(document, {{resultTypes: ['violations'], runOnly: {RULES}}})"
        )
        return [
            f"{finding['id']}: {node['html'][:160]}"
            for finding in found["violations"]
            for node in finding["nodes"]
        ]

    def close(self) -> None:
        """Close the context."""
        self.context.close()

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not REFUSED.search(message.text):
            self.complaints.append(f"{self.page.url}: {message.text}")


class People:
    """Everybody who has signed in: a context for each name.

    Example:
        >>> people("clerk").go("/send")
    """

    def __init__(self, browser: Browser, url: str) -> None:
        self._browser = browser
        self._url = url
        self._known: dict[str, Visitor] = {}

    def __call__(self, name: str) -> Visitor:
        """The one of this name, who signs in at the first call."""
        if name not in self._known:
            self._known[name] = self.another()
            self._known[name].sign_in(name)
        return self._known[name]

    def another(self, *, script: bool = True) -> Visitor:
        """Somebody who has not signed in."""
        return Visitor(self._browser, self._url, script=script)

    def complaints(self) -> list[str]:
        """What the browser said about the pages since the last call."""
        found = [text for one in self._known.values() for text in one.complaints]
        for one in self._known.values():
            one.complaints.clear()
        return found

    def close(self) -> None:
        """Close all contexts."""
        for one in self._known.values():
            one.close()
