from __future__ import annotations

from tools.pages import PAGES, SITE, describe, link, namespace_page
from tools.surface import Object


def thing(module: str, name: str, *names: str, is_class: bool = True) -> Object:
    """Make an object with these names."""
    return Object(
        key=names[0], names=names, name=name, module=module, is_class=is_class, parameters=()
    )


DENSE = thing("keras.src.layers.core.dense", "Dense", "keras.layers.Dense")


def test_a_docstring_says_the_kind_the_name_and_the_page() -> None:
    """The kind is the namespace's; a function is a function anywhere."""
    assert describe(DENSE, "layers") == (
        "Mirror of the layer ``keras.layers.Dense``.\n\n"
        "https://keras.io/api/layers/core_layers/dense/#dense-class"
    )
    relu = thing("keras.src.ops.nn", "relu", "keras.ops.relu", is_class=False)
    assert describe(relu, "ops.nn").startswith("Mirror of the function ``keras.ops.relu``.")


def test_what_has_no_page_has_its_namespaces() -> None:
    """The nearest that has one; at the end the whole reference."""
    unknown = thing("keras.src.layers.x", "Unknown", "keras.layers.Unknown")
    assert link(unknown) == SITE + "layers/"
    assert namespace_page("datasets.nowhere") == SITE + "datasets/"
    assert namespace_page("nowhere.at.all") == SITE


def test_the_table_is_sorted_and_relative() -> None:
    """One entry a line, as a person would look it up."""
    assert list(PAGES) == sorted(PAGES)
    assert not any(page.startswith(("/", "http")) for page in PAGES.values())
