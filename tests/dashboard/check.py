"""Checks the dashboard's page in headless Chromium: `just dashboard-check`.

Runs `ecomctl dashboard --from numbers.json`, so no cloud is needed, and looks at the page as a reader would: by its text,
by keyboard, in both colour schemes, on a phone, without tables, with failures. Nothing but Python and a Chromium is needed
(Debian: `apt-get install chromium-headless-shell`). `--shots DIR` also writes pictures, which are to be looked at.
"""

import argparse
import copy
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import chromium

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parents[1]
NUMBERS = HERE / "numbers.json"
READY = 'document.documentElement?.dataset.ready === "true"'
PLAIN = {"width": 1440, "height": 900}


class Page:
    """The page, served by `ecomctl`, in a browser."""

    def __init__(self, browser, url, shots):
        self.browser, self.url, self.shots = browser, url, shots
        self.numbers = json.loads(NUMBERS.read_text(encoding="utf-8"))

    def open(self, fragment="", numbers=None, status=200, dark=False, phone=False, **size):
        """Opens the page anew; `numbers`, or a text, are answered in place of the real ones."""
        browser = self.browser
        size = {"width": 390, "height": 844, "mobile": True} if phone else {**PLAIN, **size}
        browser.size(**size)
        browser.dark(dark)
        text = numbers if isinstance(numbers, str) or numbers is None else json.dumps(numbers)
        browser.instead("*/api/numbers", None if text is None else (status, text))
        browser.send("Page.navigate", url="about:blank")
        browser.until('location.href === "about:blank"')
        browser.events.clear()
        browser.send("Page.navigate", url=self.url + fragment)
        browser.until(READY)
        if self.shots:
            self.frames()

    def frames(self):
        """Waits until what was changed is drawn."""
        self.browser.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def shoot(self, name):
        if self.shots:
            self.frames()
            self.browser.shoot(self.shots / f"{name}.png")

    def text(self, selector):
        return self.browser.evaluate(f"[...document.querySelectorAll({json.dumps(selector)})].map((it) => it.textContent.trim())")

    def count(self, selector):
        return self.browser.evaluate(f"document.querySelectorAll({json.dumps(selector)}).length")

    def quiet(self):
        """Nothing was asked of others, and nothing was complained of."""
        foreign = [it for it in self.browser.requests() if not it.startswith((self.url, "data:"))]
        assert not foreign, foreign
        # A refused answer is told by the browser's log, too; it is what the check wanted.
        complaints = [it for it in self.browser.complaints() if "/api/numbers" not in it]
        assert not complaints, complaints

    def altered(self):
        return copy.deepcopy(self.numbers)


def loads(page):
    began = time.monotonic()
    page.open()
    print(f"    ready after {time.monotonic() - began:.2f} s, {len(page.browser.requests())} requests")
    page.shoot("light")
    assert page.text(".tile h2") == ["Net sales", "Paid orders", "Average order value", "Repeat purchase rate", "Payment failure rate"]
    assert page.count("[data-visual]") == page.count("[data-visual] .chart svg") == 6
    assert all(page.browser.evaluate("[...document.querySelectorAll('.chart')].map((it) => it.getAttribute('aria-label')?.length > 40)"))
    row = next(it for it in page.numbers["tiles"][0]["answer"]["rows"] if (it["days"], it["period"], it["currency"]) == (30, "now", "EUR"))
    assert page.text("[data-tile=net_sales]") == [f"€{row['part']:,.0f}"], (page.text("[data-tile=net_sales]"), row)
    text = page.text("body")[0]
    for word in ("Conversion rate", "Cart abandonment", "Customer acquisition cost", "no visits or sessions", "Fresh", "10 min ago", "Saved numbers of"):
        assert word in text, word
    page.quiet()


def one_currency_at_a_time(page):
    page.open()
    assert page.text("#currency option") == ["EUR", "GBP", "USD", "JPY"], "most paid orders first"
    for currency, sign, others in (("GBP", "£", "€$¥"), ("JPY", "¥", "€£$"), ("EUR", "€", "£$¥")):
        page.browser.evaluate(f"(() => {{ const it = document.getElementById('currency'); it.value = '{currency}'; it.dispatchEvent(new Event('change', {{bubbles: true}})); }})()")
        shown = " ".join(page.text(".tile .value, .chart svg text"))
        assert sign in shown and not any(it in shown for it in others), (currency, shown)
        assert f"currency={currency}" in page.browser.evaluate("location.hash")
    page.open("#currency=USD&days=90")
    assert page.text("[data-tile=net_sales]")[0].startswith("$"), "the choice survives a reload"
    page.quiet()


def keyboard(page):
    page.open(numbers=page.numbers)
    page.browser.evaluate("document.querySelector('#days input:checked').focus()")
    page.browser.press("ArrowRight")
    assert page.browser.evaluate("location.hash") == "#days=90" and page.text("#days label:has(:checked)") == ["90 days"]
    # From the range through the currency and the button to the first chart's table.
    for _ in range(3):
        page.browser.press("Tab")
    assert page.browser.evaluate("document.activeElement.closest('[data-visual]')?.dataset.visual") == "sales_trend"
    page.browser.press("Enter", text="\r")
    assert page.count("[data-visual=sales_trend] tbody tr") == 90
    assert page.browser.evaluate("document.activeElement.getAttribute('aria-pressed')") == "true", "the focus stays"
    page.browser.press("Enter", text="\r")
    assert page.count("[data-visual=sales_trend] svg") == 1
    page.quiet()


CONTRASTS = """(() => {
  const light = (text) => {
    const [r, g, b] = text.match(/[\\d.]+/g).map((it) => it / 255).map((it) => (it <= 0.04045 ? it / 12.92 : ((it + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (it) => { while (it && getComputedStyle(it).backgroundColor === "rgba(0, 0, 0, 0)") it = it.parentElement; return getComputedStyle(it ?? document.body).backgroundColor; };
  return [...document.querySelectorAll("h1, h2, p, dt, dd, label, button, select, .change, td, th, .reason, .banner, code")].filter((it) => it.offsetParent && it.textContent.trim()).map((it) => {
    const [a, b] = [light(getComputedStyle(it).color), light(behind(it))].sort((x, y) => y - x);
    return [(a + 0.05) / (b + 0.05), it.className || it.tagName, it.textContent.slice(0, 30)];
  }).filter(([ratio]) => ratio < 4.5);
})()"""


def light_and_dark(page):
    backs = []
    for dark in (False, True):
        page.open("#days=0", dark=dark)
        page.shoot("dark" if dark else "light-all")
        backs.append(page.browser.evaluate("getComputedStyle(document.body).backgroundColor"))
        faint = page.browser.evaluate(CONTRASTS)
        assert not faint, faint
        page.quiet()
    assert backs[0] != backs[1]
    # The scheme may change while the page is open: charts follow.
    ink = "document.querySelector('[data-visual=customer_segments] svg text').getAttribute('fill')"
    before = page.browser.evaluate(ink)
    page.browser.dark(False)
    page.browser.until(f"{ink} !== {json.dumps(before)}")


def phone(page):
    for fragment, name in (("", "phone"), ("#days=90&currency=GBP", "phone-90")):
        page.open(fragment, phone=True)
        page.shoot(name)
        assert page.browser.evaluate("document.documentElement.scrollWidth") <= 390
        assert page.count(".chart svg") == 6
    page.open(width=820, height=1180)
    page.shoot("tablet")
    assert page.browser.evaluate("document.documentElement.scrollWidth") <= 820
    page.open(width=2560, height=1300)
    page.shoot("wide")
    page.quiet()


def missing(page):
    numbers = page.altered()
    for it in [numbers["freshness"], *numbers["tiles"], *numbers["visuals"]]:
        it["answer"] = {"error": "TABLE_NOT_FOUND: …", "help": None, "missing": True}
    page.open(numbers=numbers, dark=True)
    page.shoot("missing")
    assert "No gold tables yet" in page.text("#empty")[0] and page.text("#empty code") == ["ecomctl run local medallion"]
    assert page.browser.evaluate("document.getElementById('tiles').hidden")
    page.quiet()


def empty(page):
    numbers = page.altered()
    for it in [*numbers["tiles"], *numbers["visuals"]]:
        it["answer"] = {"rows": []}
    numbers["freshness"]["answer"]["rows"] = [{"newest_order": None, "newest_gold": None, "first_day": None, "last_day": None, "orders": 0}]
    page.open(numbers=numbers)
    page.shoot("empty")
    assert "No orders yet" in page.text("#empty")[0]
    page.quiet()


def failures(page):
    numbers = page.altered()
    why = "COLUMN_NOT_FOUND: line 2:61: Column 'p.faild' cannot be resolved or requester is not authorized to access requested resources"
    mend = "its SQL is in templates/dashboards/sales.toml, under the name `payment_failure_rate`"
    numbers["tiles"][4]["answer"] = {"error": why, "help": mend, "missing": False}
    numbers["visuals"][0]["answer"] = {"error": why, "help": mend, "missing": False}
    numbers["visuals"][3]["answer"] = {"error": "TABLE_NOT_FOUND: …", "help": None, "missing": True}
    numbers["visuals"][4]["answer"] = {"rows": []}
    numbers["freshness"]["answer"]["rows"][0]["newest_gold"] = "2026-11-17 09:00:00.000 UTC"
    page.open(numbers=numbers)
    page.shoot("failures")
    assert page.count("[data-tile]") == 4 and page.count(".chart svg") == 3, "each fails alone"
    assert why in page.text("[data-visual=sales_trend] .problem")[0]
    assert "does not exist yet" in page.text("[data-visual=payment_outcomes]")[0]
    assert "Stale" in page.text("#freshness")[0] and "29 h ago" in page.text("#banner")[0]
    faint = page.browser.evaluate(CONTRASTS)
    assert not faint, faint
    page.open(numbers="the local cloud does not run", status=503)
    page.shoot("unreachable")
    assert "the local cloud does not run" in page.text("#banner")[0]
    page.quiet()


def an_old_order_is_not_stale_gold(page):
    numbers = page.altered()
    numbers["freshness"]["answer"]["rows"][0]["newest_order"] = "2026-11-17 09:00:00.000 UTC"
    page.open(numbers=numbers)
    assert "Fresh" in page.text("#freshness")[0]
    told = page.text("#banner")[0]
    assert "29 h ago" in told and f"ecomctl status {numbers['stack']}" in told and "Stale" not in told, told
    page.quiet()


def refreshes_without_blinking(page):
    page.open(numbers=page.numbers)
    page.browser.evaluate("for (const it of document.querySelectorAll('.chart svg, .tile')) it.kept = true")
    later = page.altered()
    later["at"] = "2026-11-18T14:40:00Z"
    page.browser.instead("*/api/numbers", (200, json.dumps(later)))
    page.browser.evaluate("document.getElementById('refresh').click()")
    page.browser.until("document.getElementById('freshness').textContent.includes('18 min ago')")
    kept = "[...document.querySelectorAll('.chart svg, .tile')].filter((it) => it.kept).length"
    assert page.browser.evaluate(kept) == 11, "what did not change is the same element as before"
    row = next(it for it in later["tiles"][1]["answer"]["rows"] if (it["days"], it["period"], it["currency"]) == (30, "now", "EUR"))
    row["part"] = 4321
    page.browser.instead("*/api/numbers", (200, json.dumps(later)))
    page.browser.evaluate("document.getElementById('refresh').click()")
    page.browser.until("document.querySelector('[data-tile=paid_orders]').textContent === '4,321'")
    page.browser.instead("*/api/numbers", (500, "gone"))
    page.browser.evaluate("document.getElementById('refresh').click()")
    page.browser.until("document.getElementById('banner').textContent.includes('Not up to date: gone')")
    assert page.text("[data-tile=paid_orders]") == ["4,321"], "the last numbers stay"
    page.quiet()


def markup_is_text(page):
    numbers = page.altered()
    bad = "<img src=//evil.example/x onerror=document.title='owned'><b>x</b>"
    numbers["stack"] = bad
    numbers["visuals"][1]["answer"]["rows"][0]["label"] = bad
    numbers["tiles"][0]["answer"] = {"error": bad, "help": bad, "missing": False}
    page.open(numbers=numbers)
    at = page.browser.evaluate("(() => { const it = document.querySelector('[data-visual=top_products] .chart').getBoundingClientRect(); return [it.x + it.width / 2, it.y + 14]; })()")
    page.browser.send("Input.dispatchMouseEvent", type="mouseMoved", x=at[0], y=at[1])
    page.browser.until("document.querySelector('.tip .when')?.textContent.startsWith('<img')")
    page.browser.evaluate("document.querySelector('[data-visual=top_products] button').click()")
    assert page.count("img, b") == 0 and page.text("#stack") == [bad]
    page.quiet()


CHECKS = [loads, one_currency_at_a_time, keyboard, light_and_dark, phone, missing, empty, failures, an_old_order_is_not_stale_gold, refreshes_without_blinking, markup_is_text]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--ecomctl", type=pathlib.Path, default=ROOT / "target/debug/ecomctl", help="the program [default: target/debug/ecomctl]")
    parser.add_argument("--shots", type=pathlib.Path, help="a folder for pictures")
    args = parser.parse_args()
    if not chromium.find():
        sys.exit("there is no Chromium here: apt-get install chromium-headless-shell, or name one in $CHROMIUM")
    if args.shots:
        args.shots.mkdir(parents=True, exist_ok=True)
    software = os.environ.get("ECOMCTL_SOFTWARE") or str(ROOT / "target/tmp/software")
    with tempfile.TemporaryDirectory(prefix="ecomctl-dashboard-") as home:
        environment = {**os.environ, "ECOMCTL_HOME": home, "ECOMCTL_SOFTWARE": software}
        command = [args.ecomctl.resolve(), "dashboard", "local", "--from", NUMBERS, "--port", "0", "--no-open"]
        server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
        try:
            url = server.stdout.readline().strip()
            if not url:
                sys.exit(f"ecomctl ended with {server.wait()}")
            failed = check(url, args.shots)
        finally:
            server.terminate()
            ended = server.wait()
    if ended != 0:
        failed.append(f"ecomctl ended with {ended} when it was told to stop")
    print("\n".join(failed) or "all is well")
    sys.exit(bool(failed))


def check(url, shots):
    failed = []
    with chromium.Chromium() as browser:
        page = Page(browser, url, shots)
        for it in CHECKS:
            try:
                it(page)
                print(f"ok  {it.__name__}")
            except (AssertionError, RuntimeError) as err:
                print(f"--  {it.__name__}")
                line = err.__traceback__.tb_next.tb_lineno if err.__traceback__.tb_next else "?"
                failed.append(f"{it.__name__}, line {line}: {err}")
    return failed


if __name__ == "__main__":
    main()
