"""Generated code: nodes, their renderer, names, and functions that travel as code.

User values are never written into code: what is no plain literal travels as a binding.
"""

from __future__ import annotations

from asyncbridge.codegen.functions import Shipped, call, ship
from asyncbridge.codegen.literals import MAX_DEPTH
from asyncbridge.codegen.names import check_identifier, check_module, random_name
from asyncbridge.codegen.nodes import (
    Attribute,
    BinaryOperation,
    BooleanOperation,
    Call,
    Clause,
    Comparison,
    Comprehension,
    Conditional,
    DictDisplay,
    DoubleStar,
    Expression,
    Lambda,
    ListDisplay,
    Literal,
    Name,
    Node,
    Parameter,
    Parameters,
    SetDisplay,
    Slice,
    Star,
    Subscript,
    TupleDisplay,
    UnaryOperation,
    Walrus,
    as_expression,
)
from asyncbridge.codegen.render import render, to_ast
from asyncbridge.codegen.statements import (
    Assign,
    Block,
    Break,
    ClassDef,
    Continue,
    Delete,
    For,
    FromImport,
    FunctionDef,
    Global,
    Handler,
    If,
    Import,
    Pass,
    Raise,
    Return,
    Source,
    Statement,
    Try,
    While,
    With,
)

# fmt: off
__all__ = [  # noqa: RUF022 - grouped by what they are
    # kinds of nodes
    "Node", "Expression", "Statement",
    # expressions
    "Attribute", "BinaryOperation", "BooleanOperation", "Call", "Comparison", "Comprehension",
    "Conditional", "DictDisplay", "Lambda", "ListDisplay", "Literal", "Name", "SetDisplay",
    "Subscript", "TupleDisplay", "UnaryOperation", "Walrus", "as_expression",
    # parts of expressions
    "Clause", "DoubleStar", "Parameter", "Parameters", "Slice", "Star",
    # statements
    "Assign", "Block", "Break", "ClassDef", "Continue", "Delete", "For", "FromImport",
    "FunctionDef", "Global", "If", "Import", "Pass", "Raise", "Return", "Source", "Try", "While",
    "With",
    # parts of statements
    "Handler",
    # rendering
    "MAX_DEPTH", "render", "to_ast",
    # names
    "check_identifier", "check_module", "random_name",
    # functions as code
    "Shipped", "call", "ship",
]
# fmt: on
