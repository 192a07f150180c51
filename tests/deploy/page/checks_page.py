"""The status page in a real browser, before a real guard: laid out, read aloud, kept to its policy, live."""

import re
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
import pytest_asyncio

from guardd.simulator.faults import Fault, FaultKind
from tests.deploy.alerts.stack import free_port
from tests.deploy.page.looking import looked_at
from tests.deploy.page.scenes import DESKTOP, PHONE, POLICY, Scene, browser, scene
from tests.deploy.page.staged import HOSTILE, staged_page

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

SMALL: Final = (320, 640)
"""What 1280 px are at a zoom of 400 % (WCAG 1.4.10)."""
WINDOWS: Final = {"phone": PHONE, "desktop": DESKTOP, "small": SMALL}
FIGURES: Final = (
    *("1,042.11 USDT", "0.00432 USDT", "+0.0000432", "−87.96", "123,456,789,012.5", "0.0000012000", "87.65 %"),
    *("your stop", "none given", "15 min from now", "2026-01-01", "0 of 1"),
)
"""Money in two places, or three figures where it is less than one; prices and sizes as they are."""
LIVE_MS: Final = 20_000
pytestmark = [pytest.mark.timeout(300), pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def opened() -> "AsyncIterator[Browser]":
    async with browser() as found:
        yield found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def held(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    """A guard with positions. Its price falls and its venue blocks at last: who wants it calm comes before."""
    async with scene(tmp_path_factory.mktemp("held")) as seen:
        yield seen


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def empty(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    async with scene(tmp_path_factory.mktemp("empty"), held=False, mode="observe") as seen:
        yield seen


async def test_every_price_that_matters_is_in_the_picture_and_in_a_table(opened: "Browser", held: Scene) -> None:
    async with looked_at(opened, held.guard.url) as looked:
        table = looked.page.get_by_role("table", name="Prices of BTCUSDT long, the highest first")
        await table.get_by_role("row", name=re.compile("rule last-resort")).wait_for(timeout=LIVE_MS)
        rows = [await row.inner_text() for row in await table.locator("tbody tr").all()]
        levels = [re.split(r"\s*\t\s*", row)[0] for row in rows]
        assert levels == [
            "take-profit", "entry", "mark", "rule warn", "rule trim", "rule last-resort", "stop-loss", "liquidation",
        ]  # fmt: skip
        prices = [float(re.split(r"\s*\t\s*", row)[1].replace(",", "")) for row in rows]
        assert prices == sorted(prices, reverse=True)
        picture = looked.page.locator("article", has_text="BTCUSDT").locator("svg")
        assert await picture.locator(".tick, circle").count() == len(levels)
        assert await picture.get_attribute("aria-hidden") == "true"
        (account,) = (await held.guard.status())["accounts"]
        equity = await looked.page.locator("dt", has_text="equity").locator("+ dd").inner_text()
        assert equity == f"{float(account['equity']):,.2f} USDT"


async def test_the_page_is_sound_when_calm_in_a_fall_and_when_the_venue_blocks(opened: "Browser", held: Scene) -> None:
    found = [f"calm, {each}" for each in await wrong_anywhere(opened, held.guard.url)]
    await held.fall()
    found += [f"falling, {each}" for each in await wrong_anywhere(opened, held.guard.url)]
    await held.block()
    found += [f"blocked, {each}" for each in await wrong_anywhere(opened, held.guard.url)]
    assert found == []


async def wrong_anywhere(opened: "Browser", url: str, windows: Mapping[str, tuple[int, int]] = WINDOWS) -> list[str]:
    found: list[str] = []
    for name, window in windows.items():
        for scheme in ("light", "dark"):
            async with looked_at(opened, url, width_height=window, color_scheme=scheme) as looked:
                await open_all(looked.page)
                wrong = [*await looked.wrong(), *await looked.complained()]
                wrong += [f"asked {each}" for each in looked.asked if not each.startswith(url)]
                found += [f"{name}, {scheme}: {each}" for each in wrong]
    return found


async def open_all(page: "Page") -> None:
    await page.eval_on_selector_all("details", "all => all.forEach((each) => (each.open = true))")


async def test_the_page_bears_every_state_unknown_figures_and_hostile_texts(opened: "Browser") -> None:
    windows = {"phone": PHONE, "desktop": DESKTOP}
    async with staged_page() as url, looked_at(opened, url) as looked:
        text = await looked.page.locator("body").inner_text()
        assert text.count(HOSTILE) == 3
        assert await looked.page.locator("img").count() == 0
        for shown in FIGURES:
            assert shown in text, shown
        assert "5 positions, 2 unprotected, 1 not guarded; 1 account parked; 1 account stale; 1 account blocked" in text
        assert (
            await looked.page.locator(".account", has_text="parked-one").locator("text=No position under guard").count()
        )
        assert await wrong_anywhere(opened, url, windows) == []
    silent = "main: no guard's pulse for 12.0 s"
    async with staged_page(silent) as url, looked_at(opened, url) as looked:
        assert silent in await looked.page.get_by_text("The guard is not at work").first.inner_text()


async def test_each_kind_of_fault_is_seen_where_it_is_planted(opened: "Browser", empty: Scene) -> None:
    planted = {
        "contrast": "document.querySelector('h1').style.color = 'rgb(200, 200, 200)'",
        "px wide": "document.querySelector('footer').style.width = '800px'",
        "cut off": "Object.assign(document.querySelector('#summary').style, {width: '20px', whiteSpace: 'nowrap'})",
        "without a name: table": "document.querySelector('.budgets caption').remove()",
        "no main": "document.querySelector('main').setAttribute('role', 'none')",
        "policy: style-src": "document.body.setAttribute('style', 'color: red')",
        "policy: script-src": "document.head.append(Object.assign(document.createElement('script'), {textContent: '1'}))",
    }
    for words, fault in planted.items():
        async with looked_at(opened, empty.guard.url) as looked:
            await open_all(looked.page)
            await looked.page.evaluate(f"() => {{ {fault}; }}")
            wrong = [*await looked.wrong(), *await looked.complained()]
            assert [each for each in wrong if words in each], (words, wrong)


async def test_nothing_held_is_neither_protected_nor_unknown(opened: "Browser", empty: Scene) -> None:
    async with looked_at(opened, empty.guard.url) as looked:
        text = await looked.page.locator("body").inner_text()
        assert "nothing held" in text
        assert "unknown" not in text
        assert "protected" not in text


async def test_what_changes_is_patched_in_and_only_what_matters_is_spoken(opened: "Browser", tmp_path: Path) -> None:
    async with scene(tmp_path) as seen, looked_at(opened, seen.guard.url) as looked:
        page = looked.page
        await page.evaluate(
            """() => {
              window.spoken = [];
              window.card = document.querySelector("article");
              for (const id of ["polite", "urgent"]) {
                const node = document.getElementById(id);
                new MutationObserver(() => window.spoken.push(node.textContent)).observe(node, { childList: true, subtree: true });
              }
            }"""
        )
        await page.locator("details summary").first.focus()
        await page.keyboard.press("Enter")
        seen.desk.price("BTCUSDT", "89000.5")
        await page.get_by_role("row", name=re.compile(r"mark\s+89,000\.5")).wait_for(timeout=LIVE_MS)
        assert await page.evaluate("window.card.isConnected && document.querySelector('details').open")
        assert await page.evaluate("document.activeElement.localName") == "summary"
        assert await page.evaluate("window.spoken") == []
        await _bare(seen)
        await page.locator("#urgent", has_text="is unprotected").wait_for(state="attached", timeout=LIVE_MS)
        assert "unprotected" in await page.title()
        await page.locator(".position.bare").first.wait_for(timeout=LIVE_MS)


async def _bare(seen: Scene) -> None:
    """The stop is gone, and no new one is let in."""
    for path in ("tp-sl", "plan"):
        target = f"/contract/private/submit-{path}-order"
        seen.desk.fault(Fault(name=path, kind=FaultKind.REFUSE, code=40011, target=target))
    for plan in seen.desk.own_plans():
        seen.desk.cancel_plan(plan.plan_id)


async def test_motion_is_only_for_those_who_want_it(opened: "Browser", empty: Scene) -> None:
    moving = {}
    for wish in ("no-preference", "reduce"):
        async with looked_at(opened, empty.guard.url, reduced_motion=wish) as looked:
            moving[wish] = await looked.page.evaluate("document.getAnimations().length")
    assert moving == {"no-preference": 1, "reduce": 0}


async def test_the_first_key_skips_to_the_accounts(opened: "Browser", empty: Scene) -> None:
    async with looked_at(opened, empty.guard.url) as looked:
        await looked.page.keyboard.press("Tab")
        skip = looked.page.get_by_role("link", name="Skip to the accounts")
        assert await skip.evaluate("(node) => node === document.activeElement && node.offsetLeft >= 0")
        await looked.page.keyboard.press("Enter")
        assert await looked.page.evaluate("document.activeElement.id") == "accounts"


async def test_a_guard_that_is_gone_is_told_and_one_that_comes_back_is_shown_again(
    opened: "Browser", tmp_path: Path
) -> None:
    port = free_port()
    async with (
        scene(tmp_path, held=False, mode="observe", http=port) as seen,
        looked_at(opened, seen.guard.url) as looked,
    ):
        summary, lost = looked.page.locator("#summary"), looked.page.locator("#lost")
        await seen.guard.stop()
        await lost.wait_for(timeout=LIVE_MS)
        assert "No answer from guardd since" in str(await looked.page.locator("#urgent").text_content())
        assert (await summary.inner_text()).startswith("last known: ")
        assert [each for each in await looked.wrong() if "contrast" in each] == []
        async with seen.desk.guard(POLICY, mode="observe", http=port):
            await lost.wait_for(state="hidden", timeout=LIVE_MS)
            assert not (await summary.inner_text()).startswith("last known: ")
