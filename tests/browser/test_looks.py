"""The page can be read: in light and dark, on a phone, with and without eyes."""

from itertools import pairwise
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Page, expect
from tests.browser.conftest import OpenPage
from tests.browser.office import Office

CONTRAST = (Path(__file__).parent / "contrast.js").read_text()
NAMELESS = """() => {
  const named = "button, input, a, dialog, section, [role=region], nav, img";
  return [...document.querySelectorAll(named)].filter((one) => one.checkVisibility()
    && !one.textContent.trim() && !one.ariaLabel && one.alt === undefined
    && !one.labels?.length && !one.getAttribute("aria-labelledby")).map((one) => one.outerHTML);
}"""
HEADINGS = """() => [...document.querySelectorAll("h1, h2, h3, h4")].filter((one) => one.checkVisibility())
  .map((one) => Number(one.tagName[1]))"""


@pytest.fixture
def refused(office: Office) -> tuple[int, str]:
    """A batch with a refused record, one whose delivery failed, and something ready."""
    refused = office.refuse_one()
    office.fail_one()
    office.post(2)
    return refused


def with_everything(page: Page, refused: tuple[int, str]) -> None:
    """Show all of it."""
    batch_id, source_id = refused
    page.get_by_role("button", name=f"Batch {batch_id}", exact=True).click()
    expect(page.get_by_role("row").filter(has_text=source_id)).to_be_visible()
    expect(page.locator("#tile-executions")).to_contain_text("2")


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_every_text_has_enough_contrast(
    refused: tuple[int, str], open_page: OpenPage, colours: Literal["light", "dark"]
) -> None:
    page = open_page(color_scheme=colours)
    with_everything(page, refused)
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")

    assert ground == {"light": "rgb(244, 246, 248)", "dark": "rgb(15, 19, 24)"}[colours]
    found = page.evaluate(CONTRAST)
    assert found["seen"] > 60
    assert found["faults"] == []

    page.get_by_role("button", name="Send batch…").click()
    assert page.evaluate(CONTRAST)["faults"] == []


@pytest.mark.parametrize("width", [320, 360, 768])
def test_nothing_is_wider_than_the_screen(refused: tuple[int, str], open_page: OpenPage, width: int) -> None:
    page = open_page(viewport={"width": width, "height": 740}, has_touch=True)
    with_everything(page, refused)

    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.get_by_role("button", name="Send batch…").click()
    box = page.get_by_role("dialog").bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width


def test_everything_has_a_name_and_headings_follow_one_another(
    refused: tuple[int, str], open_page: OpenPage
) -> None:
    page = open_page()
    with_everything(page, refused)

    levels = page.evaluate(HEADINGS)
    assert page.evaluate(NAMELESS) == []
    assert levels[0] == 1
    assert all(later - earlier <= 1 for earlier, later in pairwise(levels))
    for role in ("banner", "main", "contentinfo", "navigation"):
        expect(page.get_by_role(role)).to_have_count(1)  # pyright: ignore[reportArgumentType]
    assert page.locator("html").get_attribute("lang") == "en"


def test_nothing_moves_for_those_who_want_no_motion(refused: tuple[int, str], open_page: OpenPage) -> None:
    page = open_page(reduced_motion="reduce")
    with_everything(page, refused)

    moving = "(nodes) => nodes.filter((one) => getComputedStyle(one).transitionDuration !== '0s').length"
    assert page.locator("main *").evaluate_all(moving) == 0
