"""A data frame that stays in the worker: columns, masks and groups here, only results come back.

The worker may be on the machine that has the memory, or the data. This process imports pandas once
a small frame comes back.

    python examples/pandas_frames.py
"""

from __future__ import annotations

import asyncio
from typing import Any

import asyncbridge

ORDERS = 200_000
COUNTRIES = ["at", "ch", "de", "fr", "it"]


async def make_orders(bridge: asyncbridge.Bridge) -> asyncbridge.Ref:
    """Make the orders of a web shop, in the worker; return a reference to their frame."""
    np, pd = bridge.module("numpy"), bridge.module("pandas")
    # To keep it: a generator that is code alone would be made anew each time.
    rng = await np.random.default_rng(7).keep()
    columns = {
        "country": rng.choice(COUNTRIES, ORDERS),
        "items": rng.integers(1, 9, ORDERS),
        "price": rng.gamma(2.0, 15.0, ORDERS).round(2),
    }
    orders: asyncbridge.Ref = await pd.DataFrame(columns).keep()
    return orders


async def main() -> dict[str, float]:
    """Print what the frame tells; return the turnover by country."""
    async with asyncbridge.connect(backend=None) as bridge:
        orders = await make_orders(bridge)
        print(f"{orders.about.text}, {orders.about.size / 1e6:.0f} MB, in the worker")

        # An assignment is a command, in its turn behind what was sent before.
        orders["turnover"] = orders["items"] * orders["price"]

        large = orders[orders["turnover"] > 500]
        count = await large.shape[0]
        print(f"orders over 500: {count}, the largest {await large['turnover'].max():.2f}")

        # Two conditions, as in pandas: & and |, with brackets.
        few = orders[(orders["country"] == "ch") & (orders["items"] == 1)]
        print(f"single items to ch: {await few['price'].mean():.2f} on average")

        # Of a frame of results only the result travels: five rows of 200,000.
        table: Any = await orders.groupby("country")["turnover"].agg(["sum", "mean"]).round(2)
        print(table)

        print("the largest:")
        rows = orders.nlargest(3, "turnover").itertuples(index=False, name=None)
        async for country, items, _, turnover in rows:
            print(f"  {country}: {items} items, {turnover:.2f}")
        return {str(country): float(total) for country, total in table["sum"].items()}


if __name__ == "__main__":
    asyncio.run(main())
