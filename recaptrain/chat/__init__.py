"""Models that answer in a conversation, with pictures or without; one protocol, and a table of those that can be named.

    server.py        an OpenAI-compatible server
    transformers.py  a chat model of transformers, in this process
    journal.py       answers, each on disk before the next is taken for done
    asking.py        requests less those that the journal answers → answers

`recaptrain judge` and `recaptrain upsample` ask through it. A model from outside is a function `Opening -> ChatModel`, named by a
dotted path (`--model mypackage.mine:open_model`) or by an entry point of the group `recaptrain.chat_models`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from recapdata.captioners.answers import Words
from recapdata.errors import OptionError
from recapdata.options import at_least, check_options, option
from recapdata.registry import DOTTED, Registry

if TYPE_CHECKING:
    from PIL.Image import Image

CHAT_MODELS = {
    "server": "recaptrain.chat.server:open_server",
    "transformers": "recaptrain.chat.transformers:open_transformers",
}
"""Name → opener. On the command line `NAME:MODEL`; a bare model id or folder means `transformers:MODEL`, a bare address `server:ADDRESS`."""
REGISTRY = Registry(kind="chat model", table=CHAT_MODELS, group="recaptrain.chat_models")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatOptions:
    """What a user may ask of any chat model."""

    model: str = option(
        help="Chat model: user/name or a folder of transformers, the address of an OpenAI-compatible server "
        "(http://127.0.0.1:8000/v1#MODEL, its key in OPENAI_API_KEY), or a dotted path.",
        metavar="MODEL",
        identity=False,
    )
    revision: str | None = option(
        None,
        help="Tag, branch or commit of the model, also user/name@revision; of a server's, what you know of it.",
        shown="main",
        identity=False,
    )
    temperature: float = option(
        0.0, help="Sample at this temperature; 0 does not sample.", check=at_least(0), identity=False
    )
    seed: int = option(0, help="Of the sampling and of the bootstrap.", check=at_least(0), identity=False)
    max_tokens: int | None = option(None, help="Most tokens of an answer.", check=at_least(1), identity=False)

    def __post_init__(self) -> None:
        check_options(self)


@dataclass(frozen=True, slots=True)
class Turn:
    """What one side says; pictures stand before the text."""

    role: Literal["system", "user", "assistant"]
    text: str
    images: "tuple[Image, ...]" = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A conversation that wants an answer.

    Attributes:
        key: a hash of all that the answer depends on beside the model.
        about: what the journal says of it to people, as JSON.
    """

    key: str
    conversation: Sequence[Turn]
    about: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """The answer to a request.

    Attributes:
        text: without the model's reasoning; None where there is none.
        finish_reason: `stop`, `length`, …
        error: why there is no text; it opens with the type of the failure (see `recapdata.captioners.answers`).
    """

    text: str | None
    finish_reason: str | None = None
    tokens: int | None = None
    error: str | None = None


class ChatModel(Protocol):
    """Answers conversations.

    Attributes:
        identity: all that its answers depend on beside the requests, as JSON: `model` and `revision` at least.
    """

    @property
    def identity(self) -> Mapping[str, Any]: ...

    def replies(self, requests: Iterable[Request]) -> Iterator[tuple[Request, Reply]]:
        """The reply to each request, in any order; requests are taken as they are needed.

        Raises:
            RecapdataError: none can be answered any more (a wrong key, no such model, a server that has gone).
        """
        ...


def parse_model(text: str, revision: str | None = None) -> tuple[str, str | None, str | None]:
    """Name or dotted path, model and revision of what a user typed for `--model`.

    Raises:
        OptionError: two revisions.
    """
    if text.startswith(("http://", "https://")):
        return "server", text, revision
    folder = Path(text).is_dir()
    name = text.partition(":")[0]
    if not folder and (name in REGISTRY.names() or DOTTED.match(text)):
        kind, text_of = REGISTRY.split(text)
        if kind != "transformers":
            return kind, text_of, revision
        text = text_of or ""
    bare, at, own = text.rpartition("@")
    if not at or Path(text).is_dir():
        return "transformers", text, revision
    if revision is not None:
        raise OptionError(f"--model {text} with --revision {revision}: give the revision once")
    return "transformers", bare, own


def open_chat_model(
    options: ChatOptions, *, max_tokens: int, words: Words, pictures: bool = False
) -> ChatModel:
    """The chat model of the options, its revision pinned.

    Args:
        max_tokens: of an answer where the options do not say.
        words: what its messages call things.
        pictures: whether it must see pictures.

    Raises:
        OptionError: a name that cannot be resolved.
        CaptionerNotFound, ModelNotSupported: no such model, or one of a kind that answers no conversations, or sees no pictures.
        ServerUnreachable: the server does not answer.
    """
    name, model, revision = parse_model(options.model, options.revision)
    opening = Opening(
        model=model,
        revision=revision,
        temperature=options.temperature,
        seed=options.seed,
        max_tokens=options.max_tokens or max_tokens,
        pictures=pictures,
        words=words,
    )
    opened: ChatModel = REGISTRY.open(name, opening, protocol=ChatModel)
    identity = opened.identity
    if not (isinstance(identity, Mapping) and identity.get("model") and "revision" in identity):
        raise OptionError(
            f"--model {options.model}: its identity must name model and revision, and is {identity!r:.200}"
        )
    return opened


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What an opener of a chat model is given.

    Attributes:
        model: what follows the name; None where nothing does.
    """

    model: str | None
    revision: str | None
    temperature: float
    seed: int
    max_tokens: int
    pictures: bool
    words: Words

    @property
    def sampling(self) -> dict[str, Any]:
        """How answers are decoded, for an identity."""
        drawn = {"temperature": self.temperature, "seed": self.seed} if self.temperature else {}
        return {"max_tokens": self.max_tokens, "temperature": 0.0, **drawn}
