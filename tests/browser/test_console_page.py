"""The console's page in a real browser, beside a running demo: what a person sees and does."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import litellm
import pytest

from ofox_middleware.cards import ModelCard
from ofox_middleware.console import console
from ofox_middleware.demo import Demo
from ofox_middleware.reload import Reloader
from ofox_middleware.router import SmartRouter
from ofox_middleware.server import background, listen
from ofox_middleware.settings import Settings
from tests.browser.chromium import PATIENCE_MS, browsing, expect, missing

# LiteLLM's own types make pydantic warn when it builds them; nothing of ours is silenced.
pytestmark = [
    pytest.mark.skipif(bool(missing()), reason=missing() or "a browser is there"),
    pytest.mark.filterwarnings("ignore::UserWarning:pydantic._internal._generate_schema"),
]
TOKEN = "a-token-that-is-long-enough"


class Seen:
    """A page, and everything that went wrong in it."""

    def __init__(self, page: Any, url: str) -> None:
        self.page = page
        self.url = url
        self.wrong: list[str] = []
        page.set_default_timeout(PATIENCE_MS)
        page.on("console", lambda message: self.wrong.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on("request", lambda request: self.wrong.append(request.url) if not self._ours(request.url) else None)

    def _ours(self, url: str) -> bool:
        return url.startswith((self.url, "data:", "blob:"))

    def open(self, path: str = "/ofox/") -> Any:
        self.page.goto(self.url + path)
        return self.page

    def text(self, selector: str, pattern: str) -> Any:
        """The first element of ``selector`` whose text matches, once there is one."""
        found = self.page.locator(selector, has_text=re.compile(pattern)).first
        found.wait_for()
        return found


@pytest.fixture(scope="module")
def demo() -> Iterator[tuple[Demo, str]]:
    """A demo on a free port, quicker than life."""
    made, listener = Demo(pace=0.3), listen("127.0.0.1", 0)
    with background(made.app, listener, stopping=made.console.stop):
        yield made, f"http://127.0.0.1:{listener.getsockname()[1]}"
    made.log.close()
    litellm.logging_callback_manager._reset_all_callbacks()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One browser for all tests."""
    with browsing() as page:
        yield page


@pytest.fixture
def seen(demo: tuple[Demo, str], browser: Any) -> Iterator[Seen]:
    """The console, live, in a page of its own. The test fails for any error, refusal or foreign request in it."""
    made, url = demo
    page = browser.context.new_page()
    watched = Seen(page, url)
    watched.open()
    watched.text("#live", "Live")
    yield watched
    page.close()
    for provider in made.simulation.providers:
        made.simulation.set_state(provider, "up")
    assert watched.wrong == []


def test_an_easy_and_a_hard_prompt_go_to_different_models(seen: Seen, demo: tuple[Demo, str]) -> None:
    """From the demo's two buttons: the easy question went to a cheaper model than the hard proof, and one sees why."""
    page = seen.page
    page.get_by_role("button", name="Easy question", exact=True).click()
    easy = seen.text(".decisions li", "easy question")
    page.get_by_role("button", name="Hard proof", exact=True).click()
    hard = seen.text(".decisions li", "hard proof")
    price = {name: model.card.output_cost_per_token or 0.0 for name, model in demo[0].simulation.models.items()}
    # On a machine that stalls, a model may have been silent for too long and the next one have answered.
    easy_price, hard_price = (price[item.locator(".who").inner_text().split(" ")[-1]] for item in (easy, hard))
    assert easy_price < hard_price
    hard.locator(".line").click()
    expect(hard.locator(".line")).to_have_attribute("aria-expanded", "true")
    rows = hard.locator(".candidates tbody tr")
    expect(rows).to_have_count(6)
    expect(rows.first).to_contain_text("picked")
    expect(hard.locator(".told")).to_contain_text(re.compile(r"Difficulty\s*0\.\d+, (very )?hard"))
    expect(hard.locator(".told")).to_contain_text("Because of")


def test_a_provider_fails_and_the_page_shows_traffic_leave_it(seen: Seen, demo: tuple[Demo, str]) -> None:
    """Taken down from the page, a provider's models turn demoted or open, the log says so, and others answer."""
    page, (made, _) = seen.page, demo
    page.get_by_role("radio", name="quality").check()
    page.get_by_role("group", name="north").get_by_role("radio", name="down").check()
    assert made.simulation.status()["north"]["state"] == "down"
    for _ in range(8):
        page.get_by_role("button", name="Hard proof", exact=True).click()
    fallen = seen.text(".decisions li", r"north/titan → (river/oracle|gust/coder)")
    expect(fallen).to_contain_text("fallback")
    fallen.locator(".line").click()
    expect(page.locator(".decisions .told").first).to_contain_text("Tried first north/titan: 503 unavailable")
    page.locator(".decisions li", has=page.locator(".told")).first.locator(".line").click()
    seen.text("tr[data-model='north/titan'] td:nth-child(2)", "Open|demoted")
    seen.text("#events", "north/titan")
    seen.text("#pool", "of 6 (demoted|unhealthy)")
    bars = page.locator("tr[data-model='north/titan'] .spark .failed")
    bars.first.wait_for(state="attached")
    newest = page.locator(".decisions li").first.get_attribute("data-id")
    page.get_by_role("button", name="Hard proof", exact=True).click()
    page.locator(f".decisions li:first-child:not([data-id='{newest}'])").wait_for()
    expect(page.locator(".decisions li").first.locator(".who")).not_to_have_text(re.compile("^north/"))


def test_an_open_breaker_counts_down(seen: Seen) -> None:
    """A provider that says when to come back has its breaker open at once, with the seconds that are left."""
    page = seen.page
    page.get_by_role("radio", name="cost").check()
    page.get_by_role("group", name="pebble").get_by_role("radio", name="limited").check()
    page.get_by_role("button", name="Easy question", exact=True).click()
    expect(seen.text("tr[data-model='pebble/mini']", r"Open")).to_have_attribute("data-state", "open")
    expect(seen.text("#events", "pebble/mini")).to_contain_text("breaker opened")


def test_panic_is_told(seen: Seen, demo: tuple[Demo, str]) -> None:
    """With half of the pool unhealthy the page says that breakers only order the list."""
    health = demo[0].router.health
    for name in ("north/swift", "river/flash", "gust/coder", "river/oracle"):
        for _ in range(6):
            health.record_failure(name, status=500, retry_after_s=3)
    seen.text("#panic", "Panic mode")
    seen.text("#pool", "Panic")


def test_a_prompt_is_tried_and_leaves_nothing(seen: Seen, demo: tuple[Demo, str]) -> None:
    """The box explains a prompt, again as the preference moves, and the prompt is nowhere afterwards."""
    page, (made, url) = seen.page, demo
    before = made.router.stats["decided"]
    page.get_by_label("Prompt", exact=True).fill("Explain the heliotrope lemma in one line.")
    page.get_by_role("button", name="Explain").click()
    seen.text(".verdict", "/")
    expect(page.locator("#tried tbody").first.locator("tr")).to_have_count(6)
    for preference in ("quality", "speed", "cost"):
        page.get_by_role("radio", name=preference).check()
        seen.text("#tried .small", f"{preference}: ")
    page.get_by_label("image").check()
    seen.text("#tried", "no image")
    assert made.router.stats["decided"] == before
    everything = httpx.get(f"{url}/ofox/api/status", trust_env=False).text
    assert "heliotrope" not in everything


def test_money_is_signed(seen: Seen) -> None:
    """Spend and savings are there, and savings carry their sign."""
    seen.page.get_by_role("button", name="Easy question", exact=True).click()
    seen.text("#f-saved", r"[+−]\$")
    seen.text("#f-cheapest", r"[+−±]\$.* against always-cheapest")
    seen.text("#spend", "Always strongest")


def test_feedback_is_given_and_kept(seen: Seen, demo: tuple[Demo, str]) -> None:
    """A rating in the page reaches the store."""
    page, (made, _) = seen.page, demo
    page.get_by_role("button", name="Easy question", exact=True).click()
    item = seen.text(".decisions li", "easy question")
    item.locator(".line").click()
    item.get_by_role("button", name="So-so").click()
    seen.text(".rate", "rated 50%")
    entry = made.log.get(item.get_attribute("data-id"))
    assert entry is not None and entry.feedback == 0.5


def test_the_keyboard_is_enough(seen: Seen) -> None:
    """Keys reach the prompt and the filter, pause the list and open a decision; focus stays where it was."""
    page = seen.page
    page.get_by_role("button", name="Easy question", exact=True).click()
    seen.text(".decisions li", "easy question")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("/")
    expect(page.locator("#prompt")).to_be_focused()
    page.keyboard.type("What is f/p?")
    expect(page.get_by_label("Prompt", exact=True)).to_have_value("What is f/p?")
    page.keyboard.press("Control+Enter")
    seen.text(".verdict", "/")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("p")
    expect(page.locator("#pause")).to_have_attribute("aria-pressed", "true")
    page.locator(".decisions .line").first.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".decisions .line").first).to_have_attribute("aria-expanded", "true")
    assert page.evaluate("document.activeElement.className") == "line"
    page.keyboard.press("f")
    expect(page.locator("#filter")).to_be_focused()


def test_the_list_pauses_filters_and_looks_up(seen: Seen, demo: tuple[Demo, str]) -> None:
    """A paused list counts what comes; the filter narrows it; an id that is not on the page is found in the log."""
    page, (made, _) = seen.page, demo
    page.get_by_role("button", name="Pause").click()
    old = made.router.decide({"messages": [{"role": "user", "content": "An older one"}]})
    seen.text("#pause", r"Resume \([1-9]")
    page.get_by_role("button", name="Resume").click()
    page.locator(f"[data-id='{old.id}']").wait_for()
    page.get_by_label("Filter").fill("no such thing")
    seen.text("#decisions-empty", "No decision here matches")
    page.locator(f"[data-id='{old.id}']").evaluate("node => node.remove()")
    page.reload()
    seen.text("#live", "Live")
    page.get_by_label("Filter").fill(old.id)
    expect(page.locator(".decisions li:visible")).to_have_count(1)


def test_reading_a_decision_holds_the_list(seen: Seen, demo: tuple[Demo, str]) -> None:
    """An opened decision is not pushed away: what comes waits, and says so; to show it, close the row, or send more."""
    page, (made, _) = seen.page, demo
    page.get_by_role("button", name="Easy question", exact=True).click()
    first = seen.text(".decisions li", "easy question")
    for show in ("newer", "close", "send"):
        page.locator(".decisions .line").first.click()
        waiting = made.router.decide({"messages": [{"role": "user", "content": f"Another one to {show}"}]})
        seen.text("#newer", "1 newer decision")
        assert page.locator(f"[data-id='{waiting.id}']").count() == 0
        if show == "newer":
            page.locator("#newer").click()
        elif show == "close":
            page.locator(".decisions .line[aria-expanded=true]").first.click()
            if page.locator(".decisions .line[aria-expanded=true]").count():
                page.locator(".decisions .line[aria-expanded=true]").first.click()
        else:
            page.get_by_role("button", name="Easy question", exact=True).click()
        page.locator(f"[data-id='{waiting.id}']").wait_for()
        expect(page.locator("#newer")).to_be_hidden()
    expect(first).to_be_visible()


def test_themes_follow_the_system_until_one_is_chosen(seen: Seen) -> None:
    """Light and dark come from the system; the button chooses, and the choice outlives a reload."""
    page = seen.page
    shade = "getComputedStyle(document.body).backgroundColor"
    page.emulate_media(color_scheme="light")
    light = page.evaluate(shade)
    page.emulate_media(color_scheme="dark")
    dark = page.evaluate(shade)
    assert light != dark
    page.get_by_role("button", name="Theme: auto").click()
    assert page.evaluate(shade) == light
    page.reload()
    assert page.evaluate(shade) == light
    page.get_by_role("button", name="Theme: light").click()
    assert page.evaluate(shade) == dark
    page.evaluate("localStorage.clear()")


@pytest.mark.parametrize("width", [360, 768, 1024, 1440])
def test_it_fits_every_screen(seen: Seen, width: int) -> None:
    """From a telephone up, nothing makes the page scroll sideways, and the models' numbers are visible."""
    page = seen.page
    page.set_viewport_size({"width": width, "height": 900})
    page.locator(".decisions .line").first.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    # In one step, for rows are made anew as numbers change.
    box = page.evaluate(
        "(() => { const {width, right} = document.querySelector(\"tr[data-model='north/titan'] td:last-child\")"
        ".getBoundingClientRect(); return {width, right}; })()"
    )
    assert box["width"] > 0 and box["right"] <= width


# From W3C's WCAG 2.1, success criterion 1.4.3, and its definition of relative luminance.
CONTRAST = """() => {
  const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
  const context = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  const flat = (layers) => { // paints layers one over the other and reads the result
    context.fillStyle = "white"; context.fillRect(0, 0, 1, 1);
    for (const layer of layers) { context.fillStyle = layer; context.fillRect(0, 0, 1, 1); }
    return context.getImageData(0, 0, 1, 1).data;
  };
  const linear = (v) => (v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
  const light = ([r, g, b]) => [r, g, b].map((v) => linear(v / 255))
    .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
  const poor = [];
  for (const node of document.querySelectorAll("body *")) {
    const own = [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim());
    if (!own || !node.checkVisibility() || node.closest(".unseen, :disabled, svg")) continue;
    const layers = [];
    for (let at = node; at; at = at.parentElement) layers.unshift(getComputedStyle(at).backgroundColor);
    const back = flat(layers);
    const front = flat([...layers, getComputedStyle(node).color]);
    const [high, low] = [light(front), light(back)].sort((a, b) => b - a);
    const ratio = (high + .05) / (low + .05);
    if (ratio < 4.5) poor.push(`${ratio.toFixed(2)} ${node.className} ${node.textContent.trim().slice(0, 30)}`);
  }
  return [...new Set(poor)];
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_enough_contrast(seen: Seen, scheme: str) -> None:
    """All text has a contrast of 4.5 to 1 or better, as WCAG asks, in both themes."""
    page = seen.page
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    page.locator(".decisions .line").first.click()
    page.get_by_label("Prompt", exact=True).fill("Hello")
    page.get_by_role("button", name="Explain").click()
    seen.text(".verdict", "/")
    assert page.evaluate(CONTRAST) == []


def test_everything_has_a_name(seen: Seen) -> None:
    """Every control and every picture has a name for those who do not see it; headings and landmarks are there."""
    page = seen.page
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("button, input, textarea, a, [role=img]")].filter((node) =>
        !(node.getAttribute("aria-label") || node.textContent.trim() || node.labels?.length)).map((n) => n.outerHTML)"""
    )
    assert nameless == []
    assert page.locator("main").count() == page.locator("h1").count() == 1
    assert page.locator("html").get_attribute("lang") == "en"
    for region in ("Models", "Decisions", "Try a prompt", "Spend", "Health events", "Demo", "Summary"):
        assert page.get_by_role("region", name=region, exact=True).count() == 1


# Without the demo --------------------------------------------------------------------------------------------------


def gate() -> SmartRouter:
    return SmartRouter(Settings(models=[ModelCard(name="a/<b>model</b>", ability=0.5)]))


def test_a_token_is_asked_for(browser: Any) -> None:
    """A console with a token shows nothing before it has the right one, and is live with it."""
    page = browser.context.new_page()
    made, listener = console(gate(), token=TOKEN), listen("127.0.0.1", 0)
    with background(made, listener, stopping=made.stop):
        seen = Seen(page, f"http://127.0.0.1:{listener.getsockname()[1]}")
        seen.open("/")
        page.get_by_label("Token", exact=True).fill("a-token-that-is-wrong")
        page.get_by_role("button", name="Open the console").click()
        seen.text("#login-error", "not accepted")
        assert page.locator("#models tr").count() == 0
        page.get_by_label("Token", exact=True).fill(TOKEN)
        page.get_by_role("button", name="Open the console").click()
        seen.text("#live", "Live")
        expect(page.locator("#models tr")).to_have_count(1)
        expect(page.locator("#demo")).to_be_hidden()
        page.close()
    assert all("401" in text for text in seen.wrong)  # Chromium notes each refusal in its console


def test_an_empty_console_says_what_to_do_and_names_are_text(browser: Any) -> None:
    """Without traffic the page explains itself, and a name with markup in it is shown as it is written."""
    page = browser.context.new_page()
    made, listener = console(gate()), listen("127.0.0.1", 0)
    with background(made, listener, stopping=made.stop):
        seen = Seen(page, f"http://127.0.0.1:{listener.getsockname()[1]}")
        seen.open("/")
        seen.text("#decisions-empty", "Nothing was routed yet")
        seen.text("#spend-empty", "No answered request")
        expect(page.locator("#models .name")).to_contain_text("a/<b>model</b>")
        expect(page.locator("#reload")).to_be_hidden()
        page.close()
    assert seen.wrong == []


def test_a_page_survives_a_restart_of_its_server(browser: Any) -> None:
    """When the server comes back, so does the page, with the new server's counts."""
    page = browser.context.new_page()
    first, listener = console(gate()), listen("127.0.0.1", 0)
    port = listener.getsockname()[1]
    with background(first, listener, stopping=first.stop):
        seen = Seen(page, f"http://127.0.0.1:{port}")
        seen.open("/")
        seen.text("#live", "Live")
        first._feed.decided(first._router.decide({"prompt": "Hi"}, "/v1/completions"))
        seen.text("#f-requests", "^[1-9]")
    seen.text("#live", "Reconnecting")
    second, listener = console(gate()), listen("127.0.0.1", port)
    with background(second, listener, stopping=second.stop):
        seen.text("#live", "Live")
        seen.text("#f-requests", "^0$")
        page.close()


def test_the_configuration_is_reloaded_from_the_page(browser: Any, tmp_path: Any) -> None:
    """The button takes on a changed file and says what changed; a wrong one is refused with the place of the fault."""
    path = tmp_path / "ofox.yaml"
    path.write_text("models: [a/b]\npreference: cost\n")
    router = SmartRouter(Settings(config=path))
    made = console(router, reloader=Reloader(router, lambda: Settings(config=path), path))
    page, listener = browser.context.new_page(), listen("127.0.0.1", 0)
    with background(made, listener, stopping=made.stop):
        seen = Seen(page, f"http://127.0.0.1:{listener.getsockname()[1]}")
        seen.open("/")
        seen.text("#live", "Live")
        path.write_text("models: [a/b]\npreference: speed\nprofiles: {frugal: {cost: 1}}\n")
        page.get_by_role("button", name="Reload configuration").click()
        seen.text("#notice", "changed: preference, profiles")
        expect(page.get_by_role("radio", name="frugal")).to_have_count(1)
        path.write_text("preference: fastest\n")
        page.get_by_role("button", name="Reload configuration").click()
        seen.text("#notice", "refused.*ofox.yaml:1")
        page.close()
    assert router.settings.preference == "speed"


def test_a_server_stops_at_once_with_a_page_open(browser: Any) -> None:
    """An open page does not keep a server of ours from stopping."""
    page = browser.context.new_page()
    before = threading.active_count()
    made, listener = console(gate()), listen("127.0.0.1", 0)
    with background(made, listener, stopping=made.stop):
        (thread,) = (it for it in threading.enumerate()[before:] if it.name == "ofox-server")
        seen = Seen(page, f"http://127.0.0.1:{listener.getsockname()[1]}")
        seen.open("/")
        seen.text("#live", "Live")
    assert not thread.is_alive()
    page.close()
