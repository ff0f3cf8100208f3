"""The page in a real browser: silent, narrow, by keyboard, in both colour schemes, on paper."""

from __future__ import annotations

import base64
import json
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import pytest

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

SCHEMES = ("light", "dark")


def show(
    browser: Chrome, page: Path, *, width: int = 1100, height: int = 800, scheme: str = "light"
) -> None:
    """Open the page as someone with this screen would."""
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": features})
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    for kind in ("browser", "performance"):
        logged(browser, kind)  # forget what came before
    browser.get(page.as_uri())


def logged(browser: Any, kind: str) -> list[dict[str, Any]]:
    """Take what the browser noted since this was last asked."""
    return list(browser.get_log(kind))


def ask(browser: Chrome, script: str) -> Any:
    return browser.execute_script(script)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", [1100, 375])
def test_nothing_is_fetched_and_the_console_is_silent(
    browser: Chrome, page: Path, width: int, scheme: str
) -> None:
    show(browser, page, width=width, scheme=scheme)
    assert logged(browser, "browser") == []
    messages = [json.loads(entry["message"])["message"] for entry in logged(browser, "performance")]
    sent = [
        message["params"]["request"]["url"]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
    ]
    assert page.as_uri() in sent
    assert [url for url in sent if url != page.as_uri() and not url.startswith("data:")] == []


@pytest.mark.parametrize("width", [320, 375, 600, 780, 781, 1100])
def test_the_page_never_scrolls_sideways(browser: Chrome, page: Path, width: int) -> None:
    show(browser, page, width=width)
    beyond = """
    const page = document.documentElement;
    return page.scrollWidth - page.clientWidth
    """
    assert ask(browser, beyond) == 0
    # Opened tables scroll in themselves.
    ask(browser, "for (const each of document.querySelectorAll('details')) each.open = true")
    assert ask(browser, beyond) == 0


@pytest.mark.parametrize("width", [1100, 375])
def test_one_drawing_of_each_figure_is_shown_and_fits(
    browser: Chrome, page: Path, width: int
) -> None:
    show(browser, page, width=width)
    figures = ask(
        browser,
        """
        return [...document.querySelectorAll('figure')].map(figure =>
          [...figure.querySelectorAll('svg')].map(svg => svg.getBoundingClientRect())
            .filter(box => box.width > 0).map(box => [box.left, box.right]))
        """,
    )
    assert figures
    for drawings in figures:
        ((left, right),) = drawings
        assert 0 <= left < right <= width


@pytest.mark.parametrize("scheme", SCHEMES)
def test_everything_that_can_be_used_is_reached_by_tab_and_seen(
    browser: Chrome, page: Path, scheme: str
) -> None:
    from selenium.webdriver.common.keys import Keys

    show(browser, page, width=375, scheme=scheme)
    count = ask(
        browser,
        """
        const all = [...document.querySelectorAll('a[href], summary, [tabindex="0"]')];
        window.usable = all.filter(each => each.checkVisibility());
        window.usable.forEach((each, number) => each.dataset.number = number);
        return window.usable.length
        """,
    )
    reached = []
    for _ in range(count):
        browser.switch_to.active_element.send_keys(Keys.TAB)
        reached.append(
            ask(
                browser,
                """
                const here = document.activeElement, box = here.getBoundingClientRect();
                const look = getComputedStyle(here);
                return [here.dataset.number, look.outlineStyle, parseFloat(look.outlineWidth),
                        box.right > 0 && box.bottom > 0 && box.top < innerHeight]
                """,
            )
        )
    assert [entry[0] for entry in reached] == [str(number) for number in range(count)]
    for number, style, width, inside in reached:
        assert style == "solid", number
        assert width >= 2, number
        assert inside, number


CONTRAST = """
const luminance = colour => {
  const [r, g, b] = colour.match(/[\\d.]+/g).slice(0, 3).map(part => {
    const share = part / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const clear = colour => colour === 'rgba(0, 0, 0, 0)' || colour === 'transparent';
const behind = element => {
  for (let each = element; each; each = each.parentElement) {
    const colour = getComputedStyle(each).backgroundColor;
    if (!clear(colour)) return colour;
  }
  return 'rgb(255, 255, 255)';
};
const ratio = (a, b) => {
  const [dark, light] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (light + 0.05) / (dark + 0.05);
};
// Text in a chart may stand on a mark.
const below = text => {
  const box = text.getBoundingClientRect();
  const stack = document.elementsFromPoint(box.x + box.width / 2, box.y + box.height / 2);
  for (const each of stack) {
    if (!(each instanceof SVGGeometryElement)) continue;
    const fill = getComputedStyle(each).fill;
    if (fill !== 'none' && !clear(fill)) return fill;
  }
  return behind(text);
};
const found = [];
for (const each of document.querySelectorAll('body *')) {
  const own = [...each.childNodes].some(node => node.nodeType === 3 && node.data.trim());
  if (!own || !each.checkVisibility() || each.tagName === 'title') continue;
  const look = getComputedStyle(each);
  const drawn = each instanceof SVGElement;
  const ratios = ratio(drawn ? look.fill : look.color, drawn ? below(each) : behind(each));
  found.push([ratios, each.textContent.trim().slice(0, 40)]);
}
return found
"""


@pytest.mark.parametrize("width", [1100, 375])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_text_can_be_read_on_what_is_behind_it(
    browser: Chrome, page: Path, scheme: str, width: int
) -> None:
    show(browser, page, width=width, height=20_000, scheme=scheme)
    found = ask(browser, CONTRAST)
    assert len(found) > 50
    assert [entry for entry in found if entry[0] < 4.5] == []  # WCAG 2.2, AA


def press(browser: Chrome, *keys: str) -> None:
    from selenium.webdriver.common.action_chains import ActionChains

    ActionChains(browser).send_keys(*keys).perform()


def test_the_first_tab_offers_to_skip_to_the_content(browser: Chrome, page: Path) -> None:
    from selenium.webdriver.common.keys import Keys

    show(browser, page)
    skip = "const box = document.querySelector('.skip').getBoundingClientRect();"
    assert ask(browser, f"{skip} return box.right") < 0
    press(browser, Keys.TAB)
    assert ask(browser, "return document.activeElement.className") == "skip"
    assert ask(browser, f"{skip} return box.left >= 0 && box.top >= 0")
    press(browser, Keys.ENTER)
    assert ask(browser, "return document.activeElement.id") == "content"
    press(browser, Keys.TAB)  # goes on behind the links to the sections
    assert ask(browser, "return Boolean(document.activeElement.closest('main'))")


@pytest.mark.parametrize("key", ["ENTER", "SPACE"])
def test_what_is_folded_opens_by_keyboard(browser: Chrome, page: Path, key: str) -> None:
    from selenium.webdriver.common.keys import Keys

    show(browser, page, width=375)
    state = "const all = [...document.querySelectorAll('details')]; return all.map(one => one.open)"
    before = ask(browser, state)
    assert before
    assert not any(before)
    ask(browser, "document.querySelector('summary').focus()")
    press(browser, getattr(Keys, key))
    assert ask(browser, state) == [True, *before[1:]]
    assert ask(browser, "return document.querySelector('details .scroll').checkVisibility()")


def test_a_wide_table_scrolls_in_itself_by_keyboard(browser: Chrome, page: Path) -> None:
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.wait import WebDriverWait

    show(browser, page, width=375)
    moved = ask(
        browser,
        """
        for (const each of document.querySelectorAll('details')) each.open = true;
        const all = [...document.querySelectorAll('.scroll')];
        window.wide = all.find(each => each.scrollWidth > each.clientWidth + 20);
        window.wide.focus();
        return document.activeElement === window.wide ? window.wide.scrollLeft : -1
        """,
    )
    assert moved == 0
    press(browser, *[Keys.ARROW_RIGHT] * 3)
    glided = "return window.wide.scrollLeft"
    assert WebDriverWait(browser, 10).until(lambda driver: ask(driver, glided)) > 0


def test_every_figure_leads_to_its_raw_data_and_names_the_command(
    browser: Chrome, page: Path
) -> None:
    show(browser, page)
    figures = ask(
        browser,
        """
        return [...document.querySelectorAll('figure')].map(figure => [figure.id,
          [...figure.querySelectorAll('.origin')].map(origin =>
            [origin.querySelector('a').href, origin.querySelector('code').innerText])])
        """,
    )
    assert len(figures) >= 8
    for name, origins in figures:
        assert origins, name
        for url, command in origins:
            kept = json.loads(Path(unquote(urlsplit(url).path)).read_text("utf-8"))
            assert " ".join(command.split()) == " ".join(kept["command"].split()), name


def test_the_dark_page_is_dark(browser: Chrome, page: Path) -> None:
    look = "return getComputedStyle(document.body).backgroundColor"
    show(browser, page)
    assert ask(browser, look) == "rgb(255, 255, 255)"
    show(browser, page, scheme="dark")
    assert ask(browser, look) == "rgb(18, 24, 31)"


def test_paper_is_white_and_shows_the_tables(browser: Chrome, page: Path) -> None:
    show(browser, page, scheme="dark")
    features = [{"name": "prefers-color-scheme", "value": "dark"}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print", "features": features})
    look = "return getComputedStyle(document.body).backgroundColor"
    assert ask(browser, look) == "rgb(255, 255, 255)"
    height = "return document.querySelector('details table').getBoundingClientRect().height"
    assert ask(browser, height) > 50
    folded = "return [...document.querySelectorAll('summary')].some(one => one.checkVisibility())"
    assert not ask(browser, folded)
    printed = browser.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})
    assert base64.b64decode(printed["data"]).startswith(b"%PDF")


def test_a_screen_reader_finds_its_way(browser: Chrome, page: Path) -> None:
    show(browser, page)
    facts = ask(
        browser,
        """
        const all = selector => [...document.querySelectorAll(selector)];
        const ids = all('[id]').map(each => each.id);
        return {
          twice: ids.filter((id, place) => ids.indexOf(id) !== place),
          dead: all('a[href^="#"]').filter(a => !document.getElementById(a.hash.slice(1))).length,
          levels: all('h1, h2, h3, h4').map(each => Number(each.tagName[1])),
          unnamed: all('figure svg').filter(
            svg => svg.getAttribute('role') !== 'img' || !svg.getAttribute('aria-label')).length,
          tables: all('table').filter(table => !table.caption).length,
          language: document.documentElement.lang,
        }
        """,
    )
    levels = facts.pop("levels")
    assert facts == {"twice": [], "dead": 0, "unnamed": 0, "tables": 0, "language": "en"}
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
