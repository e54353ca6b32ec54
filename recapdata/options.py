"""Options once: a dataclass field carries default, help and check of an option; whatever else states options is derived.

    @dataclass(frozen=True, slots=True, kw_only=True)
    class GenerateOptions:
        steps: int = option(30, help="Denoising steps.", check=at_least(1))

        def __post_init__(self) -> None:
            check_options(self)

From the fields come the options of a console command (`typer_parameters`), the command line of a run (`command_line`), what of a
run's identity its options decide (`identity`), and the rows of a card (`table`). Field `batch_size` is option `--batch-size`.
"""

import functools
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass, replace
from inspect import Parameter
from numbers import Integral, Real
from os import PathLike
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from recapdata.addresses import without_secrets
from recapdata.display import shell_line
from recapdata.errors import OptionError

OPTION = "option"
"""Key of an `Option` in a field's metadata."""

Check = Callable[[Any], str | None]
"""What must hold of a value, in words ("it must be at least 1"), where it does not; else None."""


Function = TypeVar("Function", bound=Callable[..., Any])

Options = TypeVar("Options")
"""A dataclass of options."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """What a field says of its option, beside name, type and default; see `option`."""

    help: str
    metavar: str | None = None
    shown: str | None = None
    minimum: float | None = None
    check: Check | None = None
    off: float | None = None
    negated: bool = False
    repeated: bool = False
    aliases: tuple[str, ...] = ()
    example: str | None = None
    identity: bool | str = True
    outcome: bool = True


def option(default: Any = MISSING, *, help: str, **settings: Any) -> Any:
    """A dataclass field that is an option.

    The type of the field says how text becomes a value: `tuple[str, ...]` is written `a,b`, `Mapping[str, str]` is written
    `name=a,other=b`, a `Literal` is one of its words, `bool` a flag. Python may give such text or the values themselves.

    Args:
        default: of the command line and of Python alike; without it the option is required.
        settings: the following.
        metavar: what stands for the value in `--help`.
        shown: words for the default in `--help`, where None stands for something else.
        minimum: least value; on the command line a lower one is a usage error (exit code 2), and `--help` names it.
        check: what else must hold, an `OptionError` (exit code 1).
        off: a number that means None: `--ema-decay 0`.
        negated: whether the command line takes `--no-NAME`, too: of a flag that a recipe may set.
        repeated: whether the command line takes the option once for each of its values.
        aliases: further names of the field, that the command line and `accepting_aliases` take as well.
        example: a value for the message about text that cannot be read.
        identity: whether the value is part of the run's identity as it is, or the name it has there. False for what does not
            change the outcome, and for what stands there as what it resolves to: a revision as its commit.
        outcome: False for what does not change the outcome, which a card leaves out.
    """
    metadata = {OPTION: Option(help=help, **settings)}
    if default == {}:
        return field(default_factory=dict, metadata=metadata)
    return field(default=default, metadata=metadata)


def gather(options: type[Options], arguments: Mapping[str, Any]) -> Options:
    """The options of a function of the Python API, which has a parameter for each: `gather(GenerateOptions, locals())`."""
    return options(**{each.name: arguments[each.name] for each in fields(options) if each.name in arguments})  # type: ignore[arg-type]


def accepting_aliases(options: Callable[[], type]) -> Callable[[Function], Function]:
    """Let a function of the Python API take its options by their aliases too.

    Args:
        options: gives the dataclass of its options; called when the function is, so that it may import.
    """

    def decorate(function: Function) -> Function:
        @functools.wraps(function)
        def call(*arguments: Any, **given: Any) -> Any:
            for each in _fields(options()):
                for alias in each.metadata[OPTION].aliases:
                    if alias in given and each.name in given:
                        raise OptionError(f"{alias} is another name of {each.name}; give one of them")
                    if alias in given:
                        given[each.name] = given.pop(alias)
            return function(*arguments, **given)

        return cast(Function, call)

    return decorate


# -- checks ------------------------------------------------------------------------------------------------------------


def at_least(least: float) -> Check:
    """A check for finite numbers."""
    return lambda value: None if least <= value < math.inf else _finite(value, f"at least {least}")


def at_most(most: float) -> Check:
    """A check for numbers."""
    return lambda value: None if value <= most else f"it must be at most {most:,}"


def above(least: float) -> Check:
    """A check for finite numbers."""
    return lambda value: None if least < value < math.inf else _finite(value, f"above {least}")


def _finite(value: float, wanted: str) -> str:
    return "it must be finite" if math.isinf(value) and value > 0 else f"it must be {wanted}"


def between(least: float, most: float) -> Check:
    """A check for numbers: above the one and below the other."""
    return lambda value: None if least < value < most else f"it must be above {least} and below {most}"


def nonempty(value: Any) -> str | None:
    """A check for lists."""
    return None if value else "name at least one"


def check_options(options: Any) -> None:
    """Bring the values of an options dataclass into their types and check each; call it in `__post_init__`.

    Raises:
        OptionError: a value cannot be read or used; the message names the option as the command line does.
    """
    for each in _fields(options):
        given = getattr(options, each.name)
        try:
            value = _read(type(options), each, given)
        except (TypeError, AttributeError, OverflowError) as error:
            # Such as a number where a list is expected.
            raise OptionError(
                f"{flag(each.name)} {given!r}: it cannot be a {type(given).__name__}"
            ) from error
        object.__setattr__(options, each.name, value)
        if value is None:
            continue
        about, kind = each.metadata[OPTION], _type(type(options), each.name)
        checks = [_of_kind(kind), _one_of(kind), about.check]
        checks.append(None if about.minimum is None else at_least(about.minimum))
        for check in checks:
            try:
                wrong = None if check is None else check(value)
            except TypeError:  # such as a text where numbers are compared
                wrong = f"it cannot be a {type(value).__name__}"
            if wrong is not None:
                raise OptionError(f"{flag(each.name)} {_text(value)}: {wrong}")


def _fields(options: Any) -> "list[Field[Any]]":
    """The fields that are options, a class's own before those it inherits."""
    own = (options if isinstance(options, type) else type(options)).__annotations__
    return sorted(
        (each for each in fields(options) if OPTION in each.metadata), key=lambda each: each.name not in own
    )


def _of_kind(kind: Any) -> Check | None:
    """The check for a number, a flag or a text, which Python may give as anything; `True` is no number."""
    expected = {bool: bool, int: Integral, float: Real, str: str}.get(kind)
    if expected is None:
        return None

    def check(value: Any) -> str | None:
        right = isinstance(value, expected) and (kind is bool or not isinstance(value, bool))
        return None if right else f"it cannot be a {type(value).__name__}"

    return check


def _one_of(kind: Any) -> Check | None:
    """The check for a word, or several, of a `Literal`."""
    inner = get_args(kind)[0] if get_origin(kind) is tuple else kind
    if get_origin(inner) is not Literal:
        return None
    known = get_args(inner)

    def check(value: Any) -> str | None:
        if inner is kind and not isinstance(value, str):
            return f"it cannot be a {type(value).__name__}"
        words = [value] if isinstance(value, str) else value
        return None if all(word in known for word in words) else f"it must be one of {', '.join(known)}"

    return check


def _read(options: type, each: "Field[Any]", value: Any) -> Any:
    """A value in the field's type, of that type or of the text that stands for it on the command line."""
    about, kind = each.metadata[OPTION], _type(options, each.name)
    structure = get_origin(kind)
    if structure in (tuple, Mapping) and not isinstance(value, Mapping):
        parts = value.split(",") if isinstance(value, str) else value or ()
        texts = [text for part in parts if (text := part.strip())]
        return tuple(texts) if structure is tuple else _mapping(texts, each.name, about.example)
    if value is None or (value == about.off and not isinstance(value, bool)):
        return None
    if kind is Path:
        return Path(value)
    if kind is str and isinstance(value, PathLike):
        return str(value)
    # A number is the same to the bit whoever gives it: identities are compared as JSON.
    if kind is int and isinstance(value, Integral) and not isinstance(value, bool):
        return int(value)
    return (
        float(value) if kind is float and isinstance(value, Real) and not isinstance(value, bool) else value
    )


def _mapping(texts: list[str], name: str, example: str | None) -> dict[str, str]:
    values: dict[str, str] = {}
    for text in texts:
        left, equals, right = (part.strip() for part in text.partition("="))
        if not (left and equals and right):
            raise OptionError(f"{flag(name)} {text}: write NAME=VALUE, for example {flag(name)} {example}")
        if left in values:
            raise OptionError(
                f"{flag(name)}: {left} is given twice ({left}={values[left]} and {left}={right}); give it once"
            )
        values[left] = right
    return values


@functools.cache
def _hints(options: type) -> dict[str, Any]:
    return get_type_hints(options)


def _type(options: type, name: str) -> Any:
    """The type of a field, None taken off."""
    kind = _hints(options)[name]
    if get_origin(kind) in (Union, UnionType):
        (kind,) = (part for part in get_args(kind) if part is not NoneType)
    return kind


# -- the command line --------------------------------------------------------------------------------------------------


def flag(name: str) -> str:
    """The option of a field: `--batch-size` of `batch_size`, `--import` of `import_`."""
    return "--" + name.rstrip("_").replace("_", "-")


def is_options(annotation: Any) -> bool:
    """Whether an annotation names a dataclass of options."""
    return is_dataclass(annotation) and any(OPTION in each.metadata for each in fields(annotation))


def typer_parameters(options: type) -> Iterator[Parameter]:
    """One parameter for each field, as typer reads them from the signature of a command."""
    import typer

    for each in _fields(options):
        about: Option = each.metadata[OPTION]
        kind, default = _type(options, each.name), _default(each)
        structured = get_origin(kind) in (tuple, Mapping)
        if structured:
            kind = list[str] if about.repeated else str
            default = None if default is not MISSING and not default else default
            default = _text(default) if isinstance(default, tuple) and not about.repeated else default
        elif get_origin(kind) is Literal:
            kind = str
        names = [*map(flag, (each.name, *about.aliases))]
        if about.negated:
            names[0] += "/" + flag(f"no_{each.name}")
        setting = typer.Option(
            *names,
            help=about.help,
            metavar=about.metavar,
            min=about.minimum,
            show_default=about.shown or True,
        )
        yield Parameter(
            each.name,
            Parameter.KEYWORD_ONLY,
            default=Parameter.empty if default is MISSING else default,
            annotation=Annotated[kind | None if default is None else kind, setting],
        )


def _default(each: "Field[Any]") -> Any:
    return each.default if each.default_factory is MISSING else each.default_factory()


def command_line(program: str, arguments: Iterable[object], *options: Any) -> str:
    """The command line of a run, quoted for a shell: the arguments, then the options that are not at their default.

    Passwords and keys in addresses are left out, since it is printed, logged and stands on cards.

    Args:
        program: command and subcommand, such as `recapdata recaption`.
        options: dataclasses of options.
    """
    words = [*program.split(), *map(str, arguments)]
    for every in options:
        for each in _fields(every):
            value = getattr(every, each.name)
            if _default(each) is MISSING or value != _read(type(every), each, _default(each)):
                words += _words(each, value)
    return shell_line(map(without_secrets, words))


def _words(each: "Field[Any]", value: Any) -> list[str]:
    about, name = each.metadata[OPTION], flag(each.name)
    if isinstance(value, bool):
        return [name] if value else []
    if value is None:
        return [name, _text(about.off)] if about.off is not None else []
    if about.repeated:
        pairs = [f"{left}={right}" for left, right in value.items()] if isinstance(value, Mapping) else value
        return [word for part in pairs for word in (name, part)]
    return [name, _text(value)]


def _text(value: Any) -> str:
    """A value as the command line takes it."""
    if isinstance(value, Mapping):
        return ",".join(f"{name}={each}" for name, each in value.items())
    if isinstance(value, float) and float(f"{value:g}") == value:
        return f"{value:g}"
    return ",".join(value) if isinstance(value, tuple) else str(value)


def values(options: Any) -> dict[str, Any]:
    """The values by name, as keywords for a function."""
    return {each.name: getattr(options, each.name) for each in fields(options)}


# -- identity and cards ------------------------------------------------------------------------------------------------


def identity(options: Any, *, defaults: bool = False) -> dict[str, Any]:
    """What of a run's identity its options decide: by name, the values of the fields that say so.

    Args:
        defaults: give the defaults of those fields that have one instead.
    """
    return {
        each.name if about.identity is True else about.identity: _read(type(options), each, _default(each))
        if defaults
        else getattr(options, each.name)
        for each in _fields(options)
        if (about := each.metadata[OPTION]).identity and about.outcome
        if not (defaults and _default(each) is MISSING)
    }


def outcome_of(options: Any) -> Any:
    """The same options with those at their default that do not change the outcome, for a card."""
    quiet = {each.name: _default(each) for each in _fields(options) if not each.metadata[OPTION].outcome}
    return replace(options, **quiet)


def table(options: Any, *, without: Collection[str] = ()) -> list[tuple[str, str]]:
    """Rows of a card, name and value of every option that changes the outcome; `without` names fields that the card has already."""
    rows = []
    for each in _fields(options):
        about: Option = each.metadata[OPTION]
        value = getattr(options, each.name)
        if about.outcome and each.name not in without:
            shown = (about.shown or "none") if value is None else without_secrets(_text(value)) or "none"
            rows.append((each.name.replace("_", " "), shown))
    return rows
