"""What is wrong with a page as a browser has laid it out: said in lines, none when all is well."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from tests.deploy.page.scenes import PHONE

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

CONTRAST_MIN: Final = 4.5
NAMED: Final = frozenset(
    {"link", "button", "meter", "table", "region", "heading", "article", "DisclosureTriangle", "list", "image"}
)
"""Roles that say nothing without a name; lists take theirs from the heading before them."""
NAMELESS: Final = frozenset({"list", "article"})
_VIOLATIONS: Final = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) =>
  window.violations.push(event.violatedDirective + " " + event.blockedURI));
"""
_CONTRAST: Final = """
() => {
  const context = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (color) => {
    context.clearRect(0, 0, 1, 1);
    context.fillStyle = color;
    context.fillRect(0, 0, 1, 1);
    return context.getImageData(0, 0, 1, 1).data;
  };
  const light = ([red, green, blue]) => [red, green, blue].map((each) => each / 255)
    .map((each) => (each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4))
    .reduce((sum, each, index) => sum + each * [0.2126, 0.7152, 0.0722][index], 0);
  const behind = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const color = rgba(getComputedStyle(at).backgroundColor);
      if (color[3] === 255) return color;
    }
    return rgba("Canvas");
  };
  const found = [];
  for (const node of document.querySelectorAll("body *")) {
    const own = [...node.childNodes].some((child) => child.nodeType === Node.TEXT_NODE && child.data.trim());
    if (!own || node.closest("script, style, noscript, .unseen, .skip") || !node.checkVisibility()) continue;
    const style = getComputedStyle(node);
    const [a, b] = [light(rgba(style.color)), light(behind(node))];
    let ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    for (let at = node; at; at = at.parentElement) if (Number(getComputedStyle(at).opacity) < 1) ratio = 0;
    found.push([ratio, node.textContent.trim().slice(0, 40)]);
  }
  return found;
}
"""
_CUT_OFF: Final = """
() => [...document.querySelectorAll("td, th, dt, dd, p, h1, h2, h3, h4, .tag")]
  .filter((node) => !node.closest(".unseen") && node.checkVisibility() && node.scrollWidth > node.clientWidth + 1)
  .filter((node) => getComputedStyle(node).display !== "inline")
  .map((node) => node.textContent.trim().slice(0, 60))
"""
_TOO_WIDE: Final = "() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]"


@dataclass(slots=True, kw_only=True)
class Looked:
    """A page that was opened, and what its browser complained about since."""

    page: "Page"
    complaints: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    """Addresses of every request."""

    async def complained(self) -> list[str]:
        """Console errors, uncaught errors and breaches of the content security policy."""
        return [*self.complaints, *[f"policy: {each}" for each in await self.page.evaluate("window.violations")]]

    async def contrasts(self) -> list[tuple[float, str]]:
        """Each text with its contrast to what stands behind it, the poorest first."""
        return sorted((float(ratio), str(text)) for ratio, text in await self.page.evaluate(_CONTRAST))

    async def wrong(self) -> list[str]:
        """Everything that can be told from a layout: colours, widths, names."""
        poor = [f"contrast {ratio:.2f}: {text}" for ratio, text in await self.contrasts() if ratio < CONTRAST_MIN]
        wide, room = await self.page.evaluate(_TOO_WIDE)
        scroll = [f"{wide} px wide in a window of {room}"] if wide > room else []
        cut = [f"cut off: {text}" for text in await self.page.evaluate(_CUT_OFF)]
        return [*poor, *scroll, *cut, *await self.nameless()]

    async def nameless(self) -> list[str]:
        """What a screen reader would announce without a word."""
        roles = [(role, name) for role, name, _ in await self.tree()]
        found = [f"without a name: {role}" for role, name in roles if role in NAMED - NAMELESS and not name]
        return found + [
            f"no {mark}" for mark in ("banner", "main", "contentinfo") if mark not in [role for role, _ in roles]
        ]

    async def tree(self) -> list[tuple[str, str, str]]:
        """Role, name and description of everything that assistive technology sees."""
        session = await self.page.context.new_cdp_session(self.page)
        nodes = (await session.send("Accessibility.getFullAXTree"))["nodes"]
        await session.detach()
        seen = [node for node in nodes if not node.get("ignored")]
        return [(_value(node, "role"), _value(node, "name"), _value(node, "description")) for node in seen]


def _value(node: dict[str, Any], name: str) -> str:
    return str(node.get(name, {}).get("value", ""))


@asynccontextmanager
async def looked_at(
    opened: "Browser", url: str, *, width_height: tuple[int, int] = PHONE, **how: Any
) -> AsyncIterator[Looked]:
    """The page in a window of its own, with its first picture."""
    width, height = width_height
    page = await opened.new_page(viewport={"width": width, "height": height}, **how)
    looked = Looked(page=page)
    page.on("console", lambda said: looked.complaints.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: looked.complaints.append(str(error)))
    page.on("request", lambda request: looked.asked.append(request.url))
    await page.add_init_script(_VIOLATIONS)
    try:
        await page.goto(url)
        await page.wait_for_selector(".account")
        yield looked
    finally:
        await page.close()
