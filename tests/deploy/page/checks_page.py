"""The status page in a real browser, before a real guard: laid out, read aloud, kept to its policy, live."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from guardd.simulator.faults import Fault, FaultKind
from tests.deploy.alerts.stack import free_port
from tests.deploy.page.looking import looked_at
from tests.deploy.page.scenes import DESKTOP, PHONE, POLICY, Scene, browser, scene

if TYPE_CHECKING:
    from playwright.async_api import Browser

SMALL: Final = (320, 640)
"""What 1280 px are at a zoom of 400 % (WCAG 1.4.10)."""
WINDOWS: Final = {"phone": PHONE, "desktop": DESKTOP, "small": SMALL}
LIVE_MS: Final = 20_000
pytestmark = pytest.mark.timeout(300)


async def test_the_page_is_sound_when_calm_in_a_fall_and_when_the_venue_blocks(tmp_path: Path) -> None:
    found: list[str] = []
    async with browser() as opened, scene(tmp_path) as seen:
        for act in (None, seen.fall, seen.block):
            if act is not None:
                await act()
            name = act.__name__ if act is not None else "calm"
            found += [f"{name}, {each}" for each in await _wrong_anywhere(opened, seen)]
    assert found == []


async def _wrong_anywhere(opened: "Browser", seen: Scene) -> list[str]:
    found: list[str] = []
    for name, window in WINDOWS.items():
        for scheme in ("light", "dark"):
            async with looked_at(opened, seen.guard.url, width_height=window, color_scheme=scheme) as looked:
                await looked.page.eval_on_selector_all("details", "all => all.forEach((each) => (each.open = true))")
                wrong = [*await looked.wrong(), *await looked.complained()]
                wrong += [f"asked {url}" for url in looked.asked if not url.startswith(seen.guard.url)]
                found += [f"{name}, {scheme}: {each}" for each in wrong]
    return found


async def test_each_kind_of_fault_is_seen_where_it_is_planted(tmp_path: Path) -> None:
    planted = {
        "contrast": "document.querySelector('h1').style.color = 'rgb(200, 200, 200)'",
        "px wide": "document.querySelector('footer').style.width = '800px'",
        "cut off": "Object.assign(document.querySelector('#summary').style, {width: '20px', whiteSpace: 'nowrap'})",
        "without a name: table": "document.querySelector('.budgets caption').remove()",
        "no main": "document.querySelector('main').setAttribute('role', 'none')",
        "policy: style-src": "document.body.setAttribute('style', 'color: red')",
        "policy: script-src": "document.head.append(Object.assign(document.createElement('script'), {textContent: '1'}))",
    }
    async with browser() as opened, scene(tmp_path, held=False, mode="observe") as seen:
        for words, fault in planted.items():
            async with looked_at(opened, seen.guard.url) as looked:
                await looked.page.eval_on_selector_all("details", "all => all.forEach((each) => (each.open = true))")
                await looked.page.evaluate(f"() => {{ {fault}; }}")
                wrong = [*await looked.wrong(), *await looked.complained()]
                assert [each for each in wrong if words in each], (words, wrong)


async def test_every_price_that_matters_is_in_the_picture_and_in_a_table(tmp_path: Path) -> None:
    async with browser() as opened, scene(tmp_path) as seen, looked_at(opened, seen.guard.url) as looked:
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
        (account,) = (await seen.guard.status())["accounts"]
        equity = await looked.page.locator("dt", has_text="equity").locator("+ dd").inner_text()
        assert equity == f"{float(account['equity']):,.2f} USDT"


async def test_nothing_held_is_neither_protected_nor_unknown(tmp_path: Path) -> None:
    async with (
        browser() as opened,
        scene(tmp_path, held=False, mode="observe") as seen,
        looked_at(opened, seen.guard.url) as looked,
    ):
        text = await looked.page.locator("body").inner_text()
        assert "nothing held" in text
        assert "unknown" not in text
        assert "protected" not in text


async def test_what_changes_is_patched_in_and_only_what_matters_is_spoken(tmp_path: Path) -> None:
    async with browser() as opened, scene(tmp_path) as seen, looked_at(opened, seen.guard.url) as looked:
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


async def test_motion_is_only_for_those_who_want_it_and_the_first_key_skips_to_the_accounts(tmp_path: Path) -> None:
    moving = {}
    async with browser() as opened, scene(tmp_path, held=False, mode="observe") as seen:
        for wish in ("no-preference", "reduce"):
            async with looked_at(opened, seen.guard.url, reduced_motion=wish) as looked:
                moving[wish] = await looked.page.evaluate("document.getAnimations().length")
                await looked.page.keyboard.press("Tab")
                skip = looked.page.get_by_role("link", name="Skip to the accounts")
                assert await skip.evaluate("(node) => node === document.activeElement && node.offsetLeft >= 0")
                await looked.page.keyboard.press("Enter")
                assert await looked.page.evaluate("document.activeElement.id") == "accounts"
    assert moving == {"no-preference": 1, "reduce": 0}


async def test_a_guard_that_is_gone_is_told_and_one_that_comes_back_is_shown_again(tmp_path: Path) -> None:
    port = free_port()
    async with (
        browser() as opened,
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
