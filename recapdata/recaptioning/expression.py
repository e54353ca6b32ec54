"""The language of `--where` and `--weigh`: conditions and numbers over named columns, in Python's notation, with SQL's NULL logic.

    contradicted > 0 and clip_score < 20
    not (supported >= 3) or "refusal" in flags
    words in (0, 1) or "watermark" in caption
    1 if contradicted == 0 else 0.3                      also written: contradicted == 0 ? 1 : 0.3

Comparisons, `and`, `or`, `not`, `if … else`, `+ - * /`, `in`, numbers, texts and lists of them. A comparison with NULL is neither true
nor false, and a row is selected only where the condition is true; a number that rests on NULL is NULL. All other Python is refused before anything is read: an expression is parsed
by `ast` and evaluated by `pyarrow.compute`, never executed.
"""

import ast
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as kinds

from recapdata.errors import OptionError

_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: pc.equal,
    ast.NotEq: pc.not_equal,
    ast.Lt: pc.less,
    ast.LtE: pc.less_equal,
    ast.Gt: pc.greater,
    ast.GtE: pc.greater_equal,
}
_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: pc.add,
    ast.Sub: pc.subtract,
    ast.Mult: pc.multiply,
    ast.Div: lambda one, other: pc.divide(pc.cast(one, pa.float64()), other),
}


@dataclass(frozen=True, slots=True)
class Expression:
    """A parsed condition or number, and the columns that it names; `option` is what messages call it."""

    text: str
    tree: ast.expr
    names: frozenset[str]
    option: str = "--where"

    def choose(self, columns: Mapping[str, pa.Array]) -> pa.BooleanArray:
        """Whether each row is selected; `columns` holds all that are named, of one length.

        Raises:
            OptionError: it is no condition, or compares values of different types.
        """
        try:
            answer = self._truth(self.tree, columns)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError, OverflowError) as error:
            raise self._mistyped(error) from error
        return answer.fill_null(False)

    def numbers(self, columns: Mapping[str, pa.Array]) -> pa.DoubleArray:
        """The number of each row, null where it rests on one; `columns` holds all that are named, of one length.

        Raises:
            OptionError: it is no number, or compares values of different types.
        """
        try:
            value = _number(self._value(self.tree, columns))
            if not (kinds.is_integer(value.type) or kinds.is_floating(value.type)):
                raise OptionError(
                    f"{self.option} {self.text}: {ast.unparse(self.tree)} is no number; for example: 1 if contradicted == 0 else 0.3"
                )
            return pc.cast(value, pa.float64())
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError, OverflowError) as error:
            raise self._mistyped(error) from error

    def _mistyped(self, error: Exception) -> OptionError:
        return OptionError(
            f"{self.option} {self.text}: {str(error).splitlines()[0]}; is a text compared with a number?"
        )

    def _value(self, tree: ast.expr, columns: Mapping[str, pa.Array]) -> Any:
        match tree:
            case ast.Name(id=name):
                return columns[name]
            case ast.Constant(value=value):
                return pa.scalar(value)
            case ast.IfExp(test=test, body=body, orelse=other):
                chosen = [_number(self._value(side, columns)) for side in (body, other)]
                condition = self._truth(test, columns)
                answer = pc.if_else(condition, *chosen)
                return pc.if_else(pc.is_valid(condition), answer, pa.scalar(None, answer.type))
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return pc.negate(_number(self._value(operand, columns)))
            case ast.BinOp(left=left, op=operator, right=right):
                one, other = (_number(self._value(side, columns)) for side in (left, right))
                return _ARITHMETIC[type(operator)](one, other)
            case _:
                return self._truth(tree, columns)

    def _truth(self, tree: ast.expr, columns: Mapping[str, pa.Array]) -> Any:
        match tree:
            case ast.BoolOp(op=operator, values=parts):
                join = pc.and_kleene if isinstance(operator, ast.And) else pc.or_kleene
                return reduce(join, (self._truth(part, columns) for part in parts))
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return pc.invert(self._truth(operand, columns))
            case ast.Compare():
                return reduce(pc.and_kleene, self._comparisons(tree, columns))
        value = self._value(tree, columns)
        if not kinds.is_boolean(value.type):
            raise OptionError(
                f"{self.option} {self.text}: {ast.unparse(tree)} is not yes or no; compare it with something, for example "
                f"{ast.unparse(tree)} > 0"
            )
        return value

    def _comparisons(self, tree: ast.Compare, columns: Mapping[str, pa.Array]) -> Iterator[Any]:
        sides = [tree.left, *tree.comparators]
        for left, operator, right in zip(sides, tree.ops, sides[1:], strict=False):
            if isinstance(operator, ast.In | ast.NotIn):
                inside = self._inside(left, right, columns)
                yield inside if isinstance(operator, ast.In) else pc.invert(inside)
            else:
                one, other = (_number(self._value(side, columns)) for side in (left, right))
                yield _COMPARISONS[type(operator)](one, other)

    def _inside(self, left: ast.expr, right: ast.expr, columns: Mapping[str, pa.Array]) -> Any:
        """Whether a value is in a literal list, a text in a column of texts, or a name in a column of lists."""
        if isinstance(right, ast.Tuple | ast.List):
            options = pa.array([ast.literal_eval(element) for element in right.elts])
            value = _number(self._value(left, columns))
            inside = pc.is_in(value, options.cast(value.type))
            return pc.if_else(pc.is_valid(value), inside, pa.scalar(None, pa.bool_()))
        texts = self._value(right, columns)
        if not isinstance(left, ast.Constant) or not isinstance(left.value, str):
            raise OptionError(
                f"{self.option} {self.text}: what stands before `in` must be a text here, such as 'dog'"
            )
        if kinds.is_list(texts.type):
            named = [None if names is None else left.value in names for names in texts.to_pylist()]
            return pa.array(named, pa.bool_())
        return pc.match_substring(texts, left.value, ignore_case=True)


def parse(text: str, option: str = "--where") -> Expression:
    """Read an expression.

    Raises:
        OptionError: it is not one, or says more than the language has.
    """
    example = (
        "1 if contradicted == 0 else 0.3" if option == "--weigh" else "contradicted > 0 and clip_score < 20"
    )
    try:
        tree = ast.parse(_in_python(text.strip()), mode="eval").body
        names = frozenset(_names(tree, f"{option} {text}"))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        said = error.msg if isinstance(error, SyntaxError) else str(error)
        raise OptionError(
            f"{option} {text}: cannot be read as an expression ({said}); for example: {example}"
        ) from error
    if not names:
        raise OptionError(f"{option} {text}: names no column; for example: {example}")
    return Expression(text, tree, names, option)


def _in_python(text: str) -> str:
    """An expression with `condition ? this : that` written as `this if condition else that`."""
    mark = _outside_quotes(text, "?")
    colon = _outside_quotes(text, ":")
    if mark is None or colon is None or colon < mark:
        return text
    condition, this, that = text[:mark], text[mark + 1 : colon], text[colon + 1 :]
    return f"(({this.strip()}) if ({condition.strip()}) else ({_in_python(that.strip())}))"


def _outside_quotes(text: str, sign: str) -> int | None:
    """The first place of a sign that stands in no quoted text."""
    quote = None
    for place, character in enumerate(text):
        if quote is not None:
            quote = None if character == quote else quote
        elif character in "\"'":
            quote = character
        elif character == sign:
            return place
    return None


def _names(tree: ast.expr, text: str) -> Iterator[str]:
    """The columns that an expression names; all other syntax is refused on the way."""
    match tree:
        case ast.Name(id=name):
            yield name
        case ast.Constant(value=str() | int() | float()):
            return
        case ast.BoolOp(values=parts):
            for part in parts:
                yield from _names(part, text)
        case ast.IfExp(test=test, body=body, orelse=other):
            for part in (test, body, other):
                yield from _names(part, text)
        case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=operand):
            yield from _names(operand, text)
        case ast.BinOp(left=left, op=operator, right=right) if type(operator) in _ARITHMETIC:
            yield from _names(left, text)
            yield from _names(right, text)
        case ast.Compare(left=left, ops=operators, comparators=others) if all(
            type(op) in _COMPARISONS or isinstance(op, ast.In | ast.NotIn) for op in operators
        ):
            _check_lists(operators, others, text)
            for part in (left, *others):
                if not isinstance(part, ast.Tuple | ast.List) or part is left:
                    yield from _names(part, text)
        case _:
            raise OptionError(
                f"{text}: {ast.unparse(tree)!r} cannot stand in an expression; there are comparisons, and, or, not, if else, "
                "in, + - * /, numbers, texts and columns (for `and` and `or` write the words)"
            )


def _check_lists(operators: list[ast.cmpop], others: list[ast.expr], text: str) -> None:
    """Refuse lists that do not follow `in`, or hold more than plain values."""
    for operator, other in zip(operators, others, strict=True):
        if not isinstance(other, ast.Tuple | ast.List):
            continue
        plain = all(
            isinstance(element, ast.Constant) and isinstance(element.value, str | int | float)
            for element in other.elts
        )
        if not (plain and other.elts and isinstance(operator, ast.In | ast.NotIn)):
            raise OptionError(
                f"{text}: {ast.unparse(other)} must be a list of plain values after `in`, for example words in (1, 2)"
            )


def _number(value: Any) -> Any:
    """The lengths of a column of lists; any other value as it is."""
    return pc.list_value_length(value) if kinds.is_list(value.type) else value
