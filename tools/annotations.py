"""The annotations of mirrored parameters: what a literal default tells, and a short table.

A constructor's annotations of plain types are also checked when a mirror is made, so they must
admit whatever Keras admits: ``object`` where that is in doubt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tools.surface import Parameter

__all__ = ["annotate"]

CONSTRUCTORS = {
    "int": """
        class_id cooldown ema_overwrite_frequency filters gradient_accumulation_steps groups
        head_dim ignore_class input_dim key_dim lora_rank max_tokens num_bins num_heads
        num_key_value_heads num_oov_indices num_query_heads output_dim output_sequence_length
        patience start_from_epoch top_k units value_dim
    """,
    "float": """
        beta_1 beta_2 clipnorm clipvalue dropout ema_momentum epsilon global_clipnorm lora_alpha
        loss_scale_factor momentum negative_slope rate recurrent_dropout rho
    """,
    "float | None": "weight_decay",
    "str": "monitor padding",
}
"""What these parameters of constructors can be and nothing else; with a default None, or that."""

ANYWHERE = {"name": "str | None", "data_format": "str | None"}
"""What these parameters are wherever they have a default that is None or a text."""

NO_POINT = str.maketrans("", "", ".e-")

BY_NAME = {name: kind for kind, names in CONSTRUCTORS.items() for name in names.split()}


def annotate(parameter: Parameter, *, constructor: bool) -> str:
    """Return the annotation's code."""
    default = parameter.default
    if default in {"True", "False"}:
        return "bool"
    if parameter.name in ANYWHERE and default is not None and default[0] in "N'":
        return ANYWHERE[parameter.name]
    kind = BY_NAME.get(parameter.name)
    if not constructor or kind is None or parameter.kind.startswith("VAR_"):
        return "object"
    if default == "None":
        return kind if kind.endswith("None") else f"{kind} | None"
    return kind if default is None or _is_literal(default, kind) else "object"


def _is_literal(default: str, kind: str) -> bool:
    if kind == "str":
        return default.startswith("'")
    digits = default.lstrip("-")
    return digits.isdigit() or (kind.startswith("float") and digits.translate(NO_POINT).isdigit())
