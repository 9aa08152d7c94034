"""Conditions over parameters, such as `fast < slow and levels > 5`: a small part of Python's expressions. Pure.

Comparisons (also chained), `and`, `or`, `not`, `in`, + - * / // % ** of numbers, numbers, texts, true and false, lists,
and names of parameters, dots included. Nothing can be called, and no number can grow beyond what a float holds.
"""

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

#: A longer one may be too deeply nested to be evaluated.
MAX_CHARACTERS = 300

_Values = Mapping[str, Any]
_Evaluate = Callable[[_Values], Any]

_ARITHMETIC: dict[type[ast.operator | ast.unaryop], Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    # Of floats, because a power of whole numbers may fill the memory.
    ast.Pow: lambda base, exponent: float(base) ** float(exponent),
}
_COMPARISON: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.In: lambda each, many: each in many,
    ast.NotIn: lambda each, many: each not in many,
}


class Condition(NamedTuple):
    """One condition."""

    text: str
    #: Of the parameters in it, in order.
    names: tuple[str, ...]
    evaluate: _Evaluate

    def holds(self, values: _Values) -> bool:
        """Return whether it is so for a set of parameters. Raises ValueError: it can't be told, such as 1 / 0."""
        try:
            return bool(self.evaluate(values))
        except (ArithmeticError, TypeError, ValueError, RecursionError) as error:
            used = ", ".join(f"{name} = {values[name]!r}" for name in self.names)
            # An OverflowError of a power carries a number before its words.
            raise ValueError(
                f"{self.text!r} can't be told for {used}: {error.args[-1] if error.args else error}"
            ) from None


def parse(text: str) -> Condition:
    """Read a condition. Raises ValueError: it is none, or has what conditions can't have."""
    if len(text) > MAX_CHARACTERS:
        raise ValueError(f"a condition has at most {MAX_CHARACTERS} characters")
    names: dict[str, None] = {}
    try:
        evaluate = _compile(ast.parse(text.strip(), mode="eval").body, names)
    except (SyntaxError, RecursionError, MemoryError):
        raise ValueError(f"{text!r} is no condition, such as 'fast < slow and levels > 5'") from None
    return Condition(text, tuple(names), evaluate)


def _compile(node: ast.expr, names: dict[str, None]) -> _Evaluate:  # noqa: PLR0911 one line a kind of expression
    match node:
        case ast.Constant(value=bool() | int() | float() | str()):
            value = node.value
            return lambda _: value
        case ast.Name() | ast.Attribute():
            name = _dotted(node)
            if name in _WORDS:
                return lambda _: _WORDS[name]
            names[name] = None
            return lambda values: values[name]
        case ast.List() | ast.Tuple() | ast.Set():
            items = [_compile(each, names) for each in node.elts]
            return lambda values: [item(values) for item in items]
        case ast.BoolOp():
            parts, decides = (
                [_compile(each, names) for each in node.values],
                any if isinstance(node.op, ast.Or) else all,
            )
            return lambda values: decides(part(values) for part in parts)
        case ast.UnaryOp(op=ast.Not()):
            negated = _compile(node.operand, names)
            return lambda values: not negated(values)
        case ast.UnaryOp() if type(node.op) in _ARITHMETIC:
            return _calculate(_ARITHMETIC[type(node.op)], [_compile(node.operand, names)])
        case ast.BinOp() if type(node.op) in _ARITHMETIC:
            return _calculate(_ARITHMETIC[type(node.op)], [_compile(each, names) for each in (node.left, node.right)])
        case ast.Compare() if all(type(each) in _COMPARISON for each in node.ops):
            return _compare([_COMPARISON[type(each)] for each in node.ops], [node.left, *node.comparators], names)
    raise ValueError(f"{ast.unparse(node)!r} can't be in a condition")


#: As TOML writes them.
_WORDS = {"true": True, "false": False}


def _dotted(node: ast.expr) -> str:
    """Return `gate.min_confidence` for a name with dots. Raises ValueError for an attribute of anything else."""
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    if isinstance(node, ast.Name):
        return node.id
    raise ValueError(f"{ast.unparse(node)!r} can't be in a condition")


def _calculate(function: Callable[..., Any], operands: list[_Evaluate]) -> _Evaluate:
    def result(values: _Values) -> Any:
        numbers = [operand(values) for operand in operands]
        if not all(isinstance(number, int | float) for number in numbers):
            # A text times a number may fill the memory.
            raise TypeError("only numbers can be calculated with")
        return function(*numbers)

    return result


def _compare(tests: list[Callable[[Any, Any], Any]], nodes: list[ast.expr], names: dict[str, None]) -> _Evaluate:
    operands = [_compile(node, names) for node in nodes]

    def result(values: _Values) -> bool:
        left, *others = [operand(values) for operand in operands]
        for test, right in zip(tests, others, strict=True):
            if not test(left, right):
                return False
            left = right
        return True

    return result
