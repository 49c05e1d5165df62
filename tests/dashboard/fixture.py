"""Writes `numbers.json`: what `ecomctl dashboard --json` says of a made-up shop, the same each time.

Definitions come from `templates/dashboards/sales.toml`, so run this again when that changes: `python3 fixture.py`.
"""

import datetime
import json
import pathlib
import random
import tomllib

HERE = pathlib.Path(__file__).parent
DEFINITIONS = HERE.parents[1] / "templates/dashboards/sales.toml"
NOW = datetime.datetime(2026, 11, 18, 14, 32, tzinfo=datetime.timezone.utc)
LAST = NOW.date()
FIRST = LAST - datetime.timedelta(days=149)
CURRENCIES = {"EUR": (62, 58.0), "GBP": (14, 49.5), "USD": (9, 66.0), "JPY": (2, 9_400.0)}
METHODS = {"card": (0.44, 0.06), "paypal": (0.28, 0.03), "wallet": (0.13, 0.02), "bank_transfer": (0.11, 0.05), "cash_on_delivery": (0.04, 0.11)}
PRODUCTS = [
    "Quiet walnut desk lamp", "Everyday linen shirt", "Enamel coffee pot", "Trail running shoes", "Wool travel blanket",
    "Noise-cancelling headphones", "Ceramic planter, large", "Cast-iron skillet 26 cm", "Rain jacket with a rather long name", "Bamboo cutting board",
]
CATEGORIES = ["home", "clothing", "kitchen", "electronics", "sports", "garden", "books", "toys", "beauty", "uncategorised"]
SEGMENTS = {"champion": 412, "loyal": 633, "new": 1_904, "promising": 1_022, "regular": 1_310, "at_risk": 487, "hibernating": 861, "lost": 745}


def money(it):
    return round(it, 2)


def columns(visual):
    """Those of a visual, without what Power BI alone is told."""
    return [{key: it[key] for key in it if key != "measure"} for it in visual.get("columns", [])]


def days():
    return [FIRST + datetime.timedelta(days=it) for it in range(150)]


def main():
    dice = random.Random(7)
    trend, paid = [], {}
    for at, day in enumerate(days()):
        for currency, (orders, value) in CURRENCIES.items():
            season = (1 + at / 260) * (1.3 if day.weekday() >= 5 else 1) * (2.1 if day == datetime.date(2026, 11, 11) else 1)
            placed = max(0, round(dice.gauss(orders * season, orders**0.5)))
            placed = round(placed * (0.6 if day == LAST else 1))
            if placed == 0:
                continue
            done = sum(dice.random() < 0.93 for _ in range(placed))
            net = round(sum(dice.lognormvariate(0, 0.12) * value for _ in range(done)), 0 if currency == "JPY" else 2)
            paid[day, currency] = (done, net, placed)
            trend.append({"order_date": str(day), "currency": currency, "net_sales": money(net), "paid_orders": done, "orders": placed})

    def spans():
        for length in (30, 90):
            yield length, "now", LAST - datetime.timedelta(days=length - 1), LAST
            yield length, "before", LAST - datetime.timedelta(days=2 * length - 1), LAST - datetime.timedelta(days=length)
        yield 0, "now", FIRST, LAST

    tiles = {it: [] for it in ("net_sales", "paid_orders", "average_order_value", "repeat_purchase_rate", "payment_failure_rate")}
    outcomes = []
    for length, period, starts, ends in spans():
        for currency in CURRENCIES:
            found = [it for (day, which), it in paid.items() if which == currency and starts <= day <= ends]
            orders, net = sum(it[0] for it in found), sum(it[1] for it in found)
            key = {"days": length, "period": period, "currency": currency}
            customers = round(orders / (1.18 + (length or 150) / 400))
            again = round(customers * (0.11 + (length or 150) / 700) * (0.96 if period == "before" else 1))
            failed = round(orders * dice.uniform(0.048, 0.056))
            tiles["net_sales"].append({**key, "part": money(net), "whole": 1})
            tiles["paid_orders"].append({**key, "part": orders, "whole": 1})
            tiles["average_order_value"].append({**key, "part": money(net), "whole": orders})
            tiles["repeat_purchase_rate"].append({**key, "part": again, "whole": customers})
            tiles["payment_failure_rate"].append({**key, "part": failed, "whole": orders + failed})
            if period == "now":
                for method, (share, rate) in METHODS.items():
                    many = orders * share
                    outcomes.append({"days": length, "currency": currency, "label": method, "succeeded": round(many), "failed": round(many * rate), "refunded": round(many * 0.04)})

    products, categories = [], []
    for currency in CURRENCIES:
        total = sum(float(it[1]) for (_, which), it in paid.items() if which == currency)
        for place, name in enumerate(PRODUCTS):
            net = total * 0.09 / (1 + place * 0.35)
            products.append({"label": name, "currency": currency, "net_sales": money(net), "units": round(net / CURRENCIES[currency][1] * 1.4)})
        for place, name in enumerate(CATEGORIES):
            net = total * 0.21 / (1 + place * 0.5)
            categories.append({"label": name, "currency": currency, "net_sales": money(net), "units": round(net / CURRENCIES[currency][1] * 1.6), "products": 61 - 5 * place})

    segments = [
        {"label": name, "customers": many, "orders": round(many * (6.2 if name in ("champion", "loyal") else 1.4)), "recency": dice.uniform(3, 140)}
        for name, many in sorted(SEGMENTS.items(), key=lambda it: -it[1])
    ]
    cohorts = []
    for back in range(6):
        month, size = datetime.date(2026, 6 + back, 1), 780 + 190 * back
        for offset in range(6 - back):
            share = 1 if offset == 0 else 0.31 * 0.82 ** (offset - 1) * dice.uniform(0.9, 1.1) * (0.55 if offset == 5 - back else 1)
            cohorts.append({"cohort_month": str(month), "month_offset": offset, "customers": round(size * share)})

    answers = {
        **tiles, "sales_trend": trend, "top_products": products, "top_categories": categories,
        "payment_outcomes": outcomes, "customer_segments": segments, "cohort_retention": cohorts,
    }
    defined = tomllib.loads(DEFINITIONS.read_text(encoding="utf-8"))
    orders = sum(it[2] for it in paid.values())
    fresh = {
        "newest_order": "2026-11-18T14:21:07.412Z", "newest_gold": "2026-11-18T14:25:30.004Z",
        "first_day": str(FIRST), "last_day": str(LAST), "orders": orders,
    }
    numbers = {
        "stack": "local", "at": NOW.isoformat().replace("+00:00", "Z"), "run": "ecomctl run local medallion",
        "title": defined["title"], "days": defined["days"], "first": defined["first"],
        "freshness": {**defined["freshness"], "answer": {"rows": [fresh]}},
        # What Power BI computes is none of the page's.
        "tiles": [{**{key: it[key] for key in it if key != "dax"}, "answer": {"rows": answers[it["name"]]}} for it in defined["tile"]],
        "visuals": [{"columns": columns(it), **{key: it[key] for key in it if key != "columns"}, "answer": {"rows": answers[it["name"]]}} for it in defined["visual"]],
        "absent": defined["absent"],
    }
    (HERE / "numbers.json").write_text(text(numbers), encoding="utf-8")


def text(numbers):
    """One row a line: short, and a change shows where it is."""
    rows = []

    def mark(it):
        if isinstance(it, dict):
            if isinstance(it.get("rows"), list):
                rows.append(it["rows"])
                return {"rows": f"@{len(rows) - 1}@"}
            return {key: mark(value) for key, value in it.items()}
        return [mark(one) for one in it] if isinstance(it, list) else it

    out = json.dumps(mark(numbers), indent=1, ensure_ascii=False)
    for at, them in enumerate(rows):
        lines = ",\n".join(json.dumps(it, ensure_ascii=False, separators=(",", ":")) for it in them)
        out = out.replace(f'"@{at}@"', f"[\n{lines}\n]")
    return out + "\n"


if __name__ == "__main__":
    main()
