"""References and bindings that come out of a pickle, in the process where they are wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asyncbridge.errors import BridgeClosed, StaleReference
from asyncbridge.protocol.keeping import Told

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from asyncbridge.client.keeping import Keeping
    from asyncbridge.references import Binding, Ref

__all__ = ["adopt_binding", "adopt_ref"]


def adopt_ref(incarnation: str, told: Iterable[Any]) -> Ref:
    """Return the reference that was pickled, in the process, or by the bridge, that it has come to.

    Raises:
        BridgeClosed: There is no open bridge here.
        StaleReference: The bridge is to another worker, or another life of it.
    """
    about = Told(*told)
    what = f"the reference {about.number} to {about.text or about.kind}"
    bridge = bridge_to(incarnation, what, about.number, lambda it: about.number in it._references)
    return bridge._adopt_ref(about)


def adopt_binding(incarnation: str, name: str, lifetime: str, counts: bool) -> Binding:
    """Return the binding that was pickled.

    Raises:
        As ``adopt_ref``.
    """
    bridge = bridge_to(
        incarnation,
        f"the binding {name}",
        0,
        lambda it: name in it._eternal or name in it._finalizers.names,
    )
    return bridge._adopt_binding(name, lifetime, counts)


def bridge_to(incarnation: str, what: str, number: int, has: Callable[[Keeping], bool]) -> Keeping:
    """Return the current bridge, if it is to this worker, or to one that has what this one had."""
    from asyncbridge.client.current import current_bridge  # noqa: PLC0415 - a cycle

    bridge: Any = current_bridge()
    if bridge is None:
        raise BridgeClosed(f"{what} was pickled: unpickle it where a bridge to its worker is open")
    references = bridge._references
    if references.has_moved(incarnation) and has(bridge):
        return bridge  # type: ignore[no-any-return]
    if (former := references.former(incarnation)) is not None:
        raise former.stale(f"{what}, which was pickled,", number)
    if bridge.incarnation != incarnation:
        raise StaleReference(
            f"{what} is of worker {incarnation}, and {bridge!r} is to another one, "
            f"{bridge.incarnation}: connect to that worker by its URL, while it lives",
            number=number,
            incarnation=incarnation,
            reason="it is of another worker",
        )
    return bridge  # type: ignore[no-any-return]
