"""scikit-learn in another process, by references: no line of code as text, and no import here.

The data are sent once. The pipeline is made, searched and trained in the worker, and stays there;
what comes back are scores, the best parameters and some predictions.

    python examples/scikit_learn.py
"""

from __future__ import annotations

import asyncio
import csv
from pathlib import Path
from typing import Any

import numpy as np

import asyncbridge

Array = np.ndarray[Any, Any]


def load() -> tuple[Array, Array]:
    """Return the measures of 150 flowers, ``(150, 4)``, and their species, ``(150,)``."""
    with (Path(__file__).parent / "data" / "iris.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))[1:]
    return np.array([row[:4] for row in rows], dtype=np.float64), np.array([r[4] for r in rows])


async def main() -> float:
    """Search, train and predict; return the share of flowers that are told rightly."""
    measures, species = load()
    async with asyncbridge.connect(backend=None) as bridge:
        # Modules of the worker's Python: they are imported there when something of them is used.
        linear = bridge.module("sklearn.linear_model")
        pipelines = bridge.module("sklearn.pipeline")
        scaling = bridge.module("sklearn.preprocessing")
        selection = bridge.module("sklearn.model_selection")

        # The data go once. All that follows names them, and sends nothing of them.
        x, y = bridge.put(measures), bridge.put(species)

        # Code, until it is awaited: the three objects are made by one command.
        pipeline = await pipelines.make_pipeline(
            scaling.StandardScaler(), linear.LogisticRegression(max_iter=500)
        )
        print("in the worker:", pipeline.about.kind)

        scores: Array = await selection.cross_val_score(pipeline, x, y, cv=5)
        print("five folds:", " ".join(f"{score:.3f}" for score in scores))

        # A promise is an argument, too, and so is what it will have: nothing here is waited for.
        search = selection.GridSearchCV(
            pipeline, {"logisticregression__C": [0.01, 0.1, 1.0, 10.0]}, cv=5
        )
        found = search.fit(x, y).keep()
        best, score = found.attr("best_estimator_"), found.attr("best_score_")
        predicted = bridge.send(
            "list(model.predict(x[::50]))", {"model": best, "x": x}, name="three flowers"
        )
        right = best.score(x, y)

        print("the best:", await found.attr("best_params_"), f"{await score:.3f}")
        print("three flowers:", ", ".join(map(str, await predicted)))
        share = float(await right)
        print(f"told rightly: {share:.1%}")
        return share


if __name__ == "__main__":
    asyncio.run(main())
