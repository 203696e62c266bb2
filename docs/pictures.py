"""Draw the README's pictures, from a real training: ``python docs/pictures.py``.

``images/terminal.svg`` is the progress bar in the middle of the training of iris, and
``images/history.png`` what the training's history plots.
"""

from __future__ import annotations

import asyncio
import io
import re
import sys
from pathlib import Path

from rich.console import Console, Group
from rich.text import Text

DOCS = Path(__file__).resolve().parent
sys.path[:0] = [str(DOCS.parent), str(DOCS.parent / "examples")]

import iris  # noqa: E402 - found by the path above, like the rest

import asyncbridge  # noqa: E402
from asyncbridge import models as keras  # noqa: E402
from asyncbridge.models.mirrors.bars import Bar  # noqa: E402

EPOCHS = 40
IMAGES = DOCS / "images"
COMMAND = "history = await model.fit(x, y, batch_size=4, epochs=40, validation_split=0.2)"
SHOWN_AT = EPOCHS * 5 // 8


async def train() -> tuple[str, object]:
    """Train, and return the bar as SVG and the history."""
    x, y, _, _ = iris.load()
    async with asyncbridge.connect():
        keras.utils.set_random_seed(7)
        model = iris.build()
        training = model.fit(x, y, batch_size=4, epochs=EPOCHS, validation_split=0.2, verbose=0)
        bar = Bar(Console(file=io.StringIO(), width=112, force_terminal=True))
        picture = ""
        async for event in training.progress():
            bar.show(event)
            if event.epoch >= SHOWN_AT and event.logs and not picture:
                picture = draw(bar)
        history = await training
        bar.close(history)
    return picture, history


def draw(bar: Bar) -> str:
    """Return the bar as it is now, as SVG that needs nothing from elsewhere."""
    screen = Console(record=True, width=112, file=io.StringIO(), force_terminal=True)
    screen.print(Group(Text(f">>> {COMMAND}"), bar.renderable))
    svg = screen.export_svg(title="asyncbridge")
    return re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)


def main() -> None:
    """Write both pictures."""
    picture, history = asyncio.run(train())
    IMAGES.mkdir(exist_ok=True)
    (IMAGES / "terminal.svg").write_text(picture, encoding="utf-8")
    history.plot(IMAGES / "history.png")
    print(f"{IMAGES / 'terminal.svg'}\n{IMAGES / 'history.png'}")


if __name__ == "__main__":
    main()
