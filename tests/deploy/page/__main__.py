"""`python -m tests.deploy.page DIRECTORY`: pictures of the page, to be looked at after a change of it."""

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.deploy.page.scenes import DESKTOP, PHONE, browser, scene
from tests.deploy.page.staged import staged_page

if TYPE_CHECKING:
    from playwright.async_api import Browser

SIZES: Final = {"phone": PHONE, "desktop": DESKTOP}
SETTLED_MS: Final = 2_500


async def shoot(opened: "Browser", url: str, name: str, into: Path, *, open_all: bool = False) -> None:
    """One picture for each size and colour scheme; the whole page, however long."""
    for size, (width, height) in SIZES.items():
        for scheme in ("light", "dark"):
            page = await opened.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
            await page.goto(url)
            await page.wait_for_selector(".account")
            await page.wait_for_timeout(SETTLED_MS if scheme == "light" else 300)
            if open_all:
                await page.eval_on_selector_all("details", "all => all.forEach((each) => (each.open = true))")
            await page.screenshot(path=into / f"{name}-{size}-{scheme}.png", full_page=True)
            await page.close()


async def main(into: Path) -> None:
    async with browser() as opened:
        async with staged_page() as url:
            await shoot(opened, url, "staged", into, open_all=True)
        with tempfile.TemporaryDirectory() as home:
            async with scene(Path(home)) as seen:
                await shoot(opened, seen.guard.url, "calm", into)
                await shoot(opened, seen.guard.url, "budgets", into, open_all=True)
                await seen.fall()
                await shoot(opened, seen.guard.url, "fall", into)
                await seen.block()
                await shoot(opened, seen.guard.url, "blocked", into)
        with tempfile.TemporaryDirectory() as home:
            async with scene(Path(home), held=False, mode="observe") as seen:
                await shoot(opened, seen.guard.url, "empty", into)
        with tempfile.TemporaryDirectory() as home:
            async with scene(Path(home), mode="observe") as seen:
                await shoot(opened, seen.guard.url, "observed", into)
                page = await opened.new_page(viewport={"width": PHONE[0], "height": PHONE[1]})
                await page.goto(seen.guard.url)
                await page.wait_for_selector(".account")
                await seen.guard.stop()
                await page.wait_for_selector("#lost:not([hidden])", timeout=20_000)
                await page.screenshot(path=into / "gone-phone-light.png")


if __name__ == "__main__":
    (directory := Path(sys.argv[1])).mkdir(parents=True, exist_ok=True)
    asyncio.run(main(directory))
