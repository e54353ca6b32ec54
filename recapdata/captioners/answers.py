"""What a server answered: the text of a caption, or the typed failure of its picture. An answer is data from a stranger.

A failure's text opens with its type: `ServerRefused` (an error, also inside a body of status 200), `ServerBusy` (one that may pass),
`TokenLimit` (all tokens are spent and there is no caption), `Declined` (the model or a filter will not), `EmptyCaption`, `BadAnswer`
(another form than the API's). What the user can change is said with it, in the `Words` of the command that asks.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from recapdata.captioners import CaptioningFailed
from recapdata.captioners.reasoning import without_reasoning
from recapdata.errors import CaptionerNotFound, RecapdataError

PASSING = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
FATAL = frozenset({401, 403, 404, 405})
BROKEN_OFF = frozenset({"error", "abort", "aborted", "cancelled"})
FILTERED = frozenset({"content_filter", "safety", "recitation", "prohibited_content"})
REASONS = {
    **dict.fromkeys(("eos", "eos_token", "stop_sequence", "end_turn", "completed"), "stop"),
    **dict.fromkeys(("max_tokens", "model_length", "max_length", "length_limit"), "length"),
}
"""Finish reasons as some servers spell them, and as the API does."""

_STATUS = {
    **dict.fromkeys(("rate_limit_exceeded", "rate_limit_error", "requests", "tokens"), 429),
    **dict.fromkeys(("server_error", "internal_error", "internal_server_error", "api_error"), 500),
    **dict.fromkeys(("overloaded_error", "engine_overloaded", "service_unavailable", "unavailable"), 503),
    **dict.fromkeys(("invalid_api_key", "authentication_error", "unauthorized"), 401),
    **dict.fromkeys(("permission_error", "permission_denied"), 403),
    **dict.fromkeys(("model_not_found", "not_found_error", "notfounderror"), 404),
    **dict.fromkeys(("insufficient_quota", "billing_error", "insufficient_credits"), 402),
}
"""Types of errors as servers name them, and the status that they stand for."""
_NO_MONEY = re.compile(r"insufficient.(?:quota|credit|balance)|exceeded your current quota|billing", re.I)
_NEVER = re.compile(r"not (?:currently )?support|unsupported|does ?n.t support|mmproj|not implemented", re.I)
_ADVICE = (
    (
        re.compile(r"imag|vision|visual|multi-?modal|mmproj|picture", re.I),
        "serve a model that takes pictures, with its vision part loaded, or name another: {option} URL#MODEL",
    ),
    (re.compile(r"temperature", re.I), "give the --temperature that the model takes, such as 1"),
    (re.compile(r"top_p", re.I), "leave out --top-p"),
    (
        re.compile(r"context|too (?:long|many tokens)|max_tokens|max_model_len", re.I),
        "lower --max-tokens, shorten the prompt, or serve the model with a longer context",
    ),
)
"""By what a refusal speaks of, what to change."""


@dataclass(frozen=True, slots=True)
class Words:
    """What messages call things, by the command that asks.

    Attributes:
        noun: what is asked for.
        option: names the model.
        prompt: changes what the model is told.
    """

    noun: str = "caption"
    option: str = "--captioner"
    prompt: str = "--style"


CAPTIONS = Words()


class MayPass(CaptioningFailed):
    """A failure that another try may mend.

    Attributes:
        once: one more try is enough to know.
    """

    def __init__(self, text: str, *, once: bool = False) -> None:
        super().__init__(text)
        self.once = once


class CreditsSpent(RecapdataError):
    """The server wants money before it answers; finished captions are safe."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The server's answer to one request."""

    text: str
    finish_reason: str | None
    tokens: int | None


def read_answer(status: int, content: bytes, server: str, words: Words = CAPTIONS) -> Answer:
    """The answer in a response.

    Args:
        server: its address, for messages.
        words: for messages, too.

    Raises:
        MayPass, CaptioningFailed: there is no caption in it.
        CaptionerNotFound: the server knows no such model, or not this key.
        CreditsSpent: it answers no more for this key.
    """
    try:
        body = json.loads(content)
    except RecursionError as error:
        raise CaptioningFailed(f"BadAnswer: JSON nested too deeply: {shown(content)}") from error
    except ValueError as error:
        if status == 200:
            raise MayPass(f"BadAnswer: no JSON ({shown(error)}): {shown(content)}", once=True) from error
        body = None
    fault = _fault(body)
    if status != 200 or fault is not None:
        raise _refusal(status, fault, content, server, words)
    choices = body.get("choices") if isinstance(body, dict) else None
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise MayPass(f"BadAnswer: no choices in {shown(content)}", once=True)
    return _of_choice(choices[0], _tokens(body.get("usage")), words)


def shown(value: Any) -> str:
    """What a server said, as a message shows it: one line of at most 200 printable characters."""
    if isinstance(value, bytes):
        value = value[:2000].decode("utf8", "replace")
    elif isinstance(value, BaseException):
        value = f"{type(value).__name__}: {value}" if str(value) else type(value).__name__
    elif not isinstance(value, str):
        value = f"a {type(value).__name__}"
    line = " ".join("".join(char if char.isprintable() else " " for char in value[:2000]).split())
    return line if len(line) <= 200 else line[:199] + "…"


def _fault(body: Any) -> Any:
    """The error that a body speaks of, in one of the forms that servers have for it; None where there is none."""
    if not isinstance(body, dict):
        return None
    if body.get("error"):
        return body["error"]
    choices = body.get("choices")
    if isinstance(choices, list) and choices:
        return choices[0].get("error") or None if isinstance(choices[0], dict) else None
    if isinstance(base := body.get("base_resp"), dict) and base.get("status_code"):
        return {"message": base.get("status_msg"), "code": base["status_code"]}
    for name in ("message", "detail", "msg", "error_msg", "errors"):
        if body.get(name):
            return {"message": body[name], "code": body.get("code"), "type": body.get("type")}
    return None


def _refusal(status: int, fault: Any, content: bytes, server: str, words: Words) -> Exception:
    """What an error of the server means for the run: it may pass, is the picture's own, or ends the run."""
    said = fault
    if isinstance(fault, dict):
        said = next((fault[name] for name in ("message", "msg", "detail") if fault.get(name)), None)
        if status == 200:
            status = _status_of(fault)
    text = shown(said if isinstance(said, str) else content)
    named = f"{status}: {text}" if status != 200 else text
    if status == 402 or (status in PASSING and _NO_MONEY.search(text)):
        return CreditsSpent(
            f"{server} answers {named}; pay for more, or set OPENAI_API_KEY to another key, and the same command goes on"
        )
    if status in FATAL:
        return CaptionerNotFound(f"{server} answers {named}; check the model's name and OPENAI_API_KEY")
    if status in PASSING and not _NEVER.search(text):
        return MayPass(f"ServerBusy: {named}")
    advice = next((f"; {advice}" for pattern, advice in _ADVICE if pattern.search(text)), "")
    return CaptioningFailed(f"ServerRefused: {named}{advice.format(option=words.option)}")


def _status_of(fault: Mapping[str, Any]) -> int:
    """The HTTP status that an error inside a body of status 200 stands for; 200 where it names none."""
    for name in ("code", "status", "status_code", "type"):
        value = fault.get(name)
        if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) == 3:
            value = int(value)
        if isinstance(value, int) and 400 <= value < 600:
            return value
        if isinstance(value, str) and value.lower() in _STATUS:
            return _STATUS[value.lower()]
    return 200


def _tokens(usage: Any) -> int | None:
    """How many tokens the answer took.

    Raises:
        CaptioningFailed: no number of tokens.
    """
    count = usage.get("completion_tokens") if isinstance(usage, dict) else None
    if isinstance(count, float) and count.is_integer():
        count = int(count)
    if count is not None and (
        not isinstance(count, int) or isinstance(count, bool) or not 0 <= count < 2**31
    ):
        number = count if isinstance(count, int | float) else shown(count)
        raise CaptioningFailed(f"BadAnswer: completion_tokens is {number!s:.40}, no number of tokens")
    return count


def _of_choice(choice: Mapping[str, Any], tokens: int | None, words: Words) -> Answer:
    reason = choice.get("finish_reason")
    if reason is not None:
        if not isinstance(reason, str) or len(reason) > 40 or not reason.isprintable():
            raise CaptioningFailed(f"BadAnswer: finish_reason is {shown(reason)}, no word")
        reason = REASONS.get(reason.lower(), reason.lower())
    message = choice.get("message")
    if not isinstance(message, dict):
        raise CaptioningFailed(f"BadAnswer: message is {shown(message)}, no object")
    if reason in BROKEN_OFF:
        raise MayPass(f"ServerBusy: the server broke its answer off ({reason})")
    if message.get("refusal") or reason in FILTERED:
        why = message.get("refusal") or reason
        raise CaptioningFailed(f"Declined: {shown(why)}; change {words.prompt}, or name another model")
    content, thought = _content(message)
    answer, reasoned, cut = without_reasoning(content)
    if not answer or (cut and reason == "length"):
        raise CaptioningFailed(
            _without_caption(message, reason, tokens, reasoned=reasoned or thought, noun=words.noun)
        )
    try:
        answer.encode()
    except UnicodeEncodeError as error:
        raise CaptioningFailed(
            f"BadAnswer: the {words.noun} is no text that can be stored ({error.reason})"
        ) from error
    return Answer(answer, reason, tokens)


def _content(message: Mapping[str, Any]) -> tuple[str, bool]:
    """The text of a message, also in parts, and whether the server says that there was reasoning."""
    content = message.get("content")
    thought = bool(message.get("reasoning_content") or message.get("reasoning"))
    if not isinstance(content, list):
        if content is None or isinstance(content, str):
            return content or "", thought
        raise CaptioningFailed(f"BadAnswer: content is {shown(content)}, no text")
    texts = []
    for part in content:
        kind = part.get("type", "text") if isinstance(part, dict) else "text"
        text = part.get("text") if isinstance(part, dict) else part
        if kind in ("thinking", "reasoning", "redacted_thinking"):
            thought = True
        elif isinstance(text, str):
            texts.append(text)
        elif text is not None:
            raise CaptioningFailed(f"BadAnswer: a part of the content is {shown(text)}, no text")
    return "".join(texts), thought


def _without_caption(
    message: Mapping[str, Any], reason: str | None, tokens: int | None, *, reasoned: bool, noun: str
) -> str:
    """Why a message has no caption, and what to change."""
    if reason == "length":
        spent = f"all {tokens:,} tokens" if tokens else "all tokens"
        on = " on reasoning" if reasoned else ""
        return f"TokenLimit: {spent} were spent{on} before {_article(noun)} was there; raise --max-tokens" + (
            ", or serve the model without reasoning" if reasoned else ""
        )
    if message.get("tool_calls"):
        return "BadAnswer: the model called a tool; serve it without tools"
    if reasoned:
        return f"{empty(noun)}: the model reasoned and wrote no {noun}; raise --max-tokens, or serve it without reasoning"
    return f"{empty(noun)}: the server answered without a word"


def empty(noun: str) -> str:
    """The type of the failure of an answer without a word: `EmptyCaption` where a caption was asked for."""
    return f"Empty{noun.capitalize()}"


def _article(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"
