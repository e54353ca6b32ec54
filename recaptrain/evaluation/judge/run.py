"""Pictures → answers of a judge, kept and resumed → verdicts → rates, tables, comparisons."""

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from recapdata.atomic import check_folder, write_atomic
from recapdata.captioners.answers import Words
from recapdata.console import progress
from recapdata.dataset.decoding import ImageUnreadable
from recapdata.dataset.folder import check_output, hold
from recaptrain.chat import ChatModel, Request, Turn, open_chat_model
from recaptrain.chat.asking import ask, digest, request_key
from recaptrain.chat.journal import AnswerJournal
from recaptrain.evaluation.evaluations import Difference
from recaptrain.evaluation.judge.protocols import JudgingProtocol, open_protocol
from recaptrain.evaluation.judge.scoring import Judgement, rate_differences, rates
from recaptrain.evaluation.judge.settings import JudgeSettings
from recaptrain.evaluation.judge.summary import SHUFFLED, VERDICTS, JudgedRun, JudgeSummary
from recaptrain.evaluation.pictures import Picture, Pictures, read_runs, shuffled
from recaptrain.evaluation.seen import pixels_key
from recaptrain.generation.prompts import derived_seed

ANSWERS, FIGURES = "answers.jsonl", "judgement.json"
WORDS = Words(noun="answer", option="--model", prompt="--protocol")


@dataclass(frozen=True, slots=True)
class _Judged:
    """A run with the judgements that its differences are made of."""

    pictures: Pictures
    judgements: Sequence[Judgement]
    run: JudgedRun


def judge(sources: Sequence[str], settings: JudgeSettings) -> JudgeSummary:
    """Have pictures judged against what a person asked for; with more than one source, compare the others with the first.

    Args:
        sources: see `read_pictures`.

    Raises:
        InputError: no pictures.
        OptionError: no such protocol or model, or two runs of one name.
        DatasetDamaged: what is kept of these pictures in `settings.out` is, or holds, a symbolic link, a FIFO or a device.
        CaptionerNotFound, ModelNotSupported: no such model, or one that sees no pictures.
        ServerUnreachable, CreditsSpent: the server answers no more; what is judged stays so.
        DatasetBusy: another process judges these pictures in `settings.out`.
    """
    began = time.monotonic()
    check_folder(Path(settings.out))
    protocol = open_protocol(settings.protocol)
    runs = read_runs(sources)
    check_output(Path(settings.out), {run.folder(settings.out).name for run in runs})
    model = open_chat_model(settings, max_tokens=protocol.max_tokens, words=WORDS, pictures=True)
    judged = [_judge_run(run, model, protocol, settings) for run in runs]
    return JudgeSummary(
        out=settings.out,
        runs=[each.run for each in judged],
        differences=[
            difference
            for other in judged[1:]
            for difference in _differences(judged[0], other, protocol, settings.seed)
        ],
        seconds=round(time.monotonic() - began, 1),
    )


def _judge_run(
    run: Pictures, model: ChatModel, protocol: JudgingProtocol, settings: JudgeSettings
) -> _Judged:
    identity = {"protocol": protocol.identity, "judge": dict(model.identity)}
    folder = run.folder(settings.out) / f"{protocol.name}-{digest(identity)}"
    control = _control(run, settings)
    folder.mkdir(parents=True, exist_ok=True)
    with (
        hold(folder),  # else two runs at once would ask for everything twice
        AnswerJournal(folder / ANSWERS) as journal,
        progress(f"judging {run.name}", total=len(run.items) + len(control)) as advance,
    ):
        asking = _Asking(protocol, journal, advance)
        made = ask(model, asking.requests([*run.items, *control]), journal, advance=advance)
        judgements = asking.judgements(run.items)
        floor = asking.judgements(control, start=len(run.items))
    found = JudgedRun(
        name=run.name,
        source=run.source,
        pictures=len(run.items),
        prompts=len(run.prompts),
        prompts_digest=run.prompts_digest,
        made_with=run.made_with,
        judge=dict(model.identity),
        protocol=protocol.identity,
        unit=protocol.unit,
        asked=made,
        rates=rates(judgements, protocol, settings.seed),
        shuffled=replace(rates(floor, protocol, settings.seed)[0], name=SHUFFLED) if floor else None,
        folder=str(folder),
    )
    rows = [{**asdict(each), "shuffled": False} for each in judgements]
    rows += [{**asdict(each), "shuffled": True} for each in floor]
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    write_atomic(folder / VERDICTS, "\n".join([*lines, ""]).encode("utf8", "backslashreplace"))
    figures = json.dumps(asdict(found), indent=2, ensure_ascii=False, default=str)
    write_atomic(folder / FIGURES, figures.encode("utf8", "backslashreplace"))
    return _Judged(run, judgements, found)


def _control(run: Pictures, settings: JudgeSettings) -> list[Picture]:
    """Some pictures, drawn by their names, each under the prompt of another; none where there is one prompt."""
    if not settings.shuffled or len({each.prompt for each in run.items}) < 2:
        return []
    own = {each.id: each.prompt for each in run.items}
    others = [each for each in shuffled(run, settings.seed).items if each.prompt != own[each.id]]
    return sorted(others, key=lambda each: derived_seed(settings.seed, each.id))[: settings.shuffled]


class _Asking:
    """Pictures → requests, made as they are needed, and what became of each."""

    def __init__(self, protocol: JudgingProtocol, journal: AnswerJournal, advance: Any) -> None:
        self._protocol = protocol
        self._journal = journal
        self._advance = advance
        self._outcomes: list[tuple[str | None, str]] = []
        # A picture that has changed has another mark; one that was copied has, too, and is known by its pixels.
        self._pixels = {
            (str(about.get("id")), str(about.get("mark"))): str(about["pixels"])
            for about in journal.about.values()
            if "pixels" in about
        }

    def requests(self, pictures: Iterable[Picture]) -> Iterator[Request]:
        """A request for each picture that can be decoded."""
        for picture in pictures:
            try:
                yield self._request(picture)
            except ImageUnreadable as error:
                self._outcomes.append((None, f"Unreadable: {error}"))
                self._advance(1, failed=1)

    def _request(self, picture: Picture) -> Request:
        turns = [Turn("system", self._protocol.system)] if self._protocol.system else []
        question = Turn("user", self._protocol.ask(picture.prompt))
        pixels = self._pixels.get((picture.id, picture.mark))
        image = None
        if pixels is None:
            image = picture.load()
            pixels = pixels_key(image)
        key = request_key([*turns, question], [pixels])
        if key not in self._journal.replies:
            question = replace(question, images=(image or picture.load(),))
        self._outcomes.append((key, ""))
        about = {"id": picture.id, "mark": picture.mark, "pixels": pixels, "prompt": picture.prompt}
        return Request(key=key, conversation=[*turns, question], about=about)

    def judgements(self, pictures: Sequence[Picture], start: int = 0) -> list[Judgement]:
        """What the judge said of each of the pictures, which were asked about from number `start` on."""
        found = []
        outcomes = self._outcomes[start : start + len(pictures)]
        for picture, (key, error) in zip(pictures, outcomes, strict=True):
            text = finish_reason = tokens = None
            if key is not None:
                reply = self._journal.reply(key)
                text, finish_reason, tokens = reply.text, reply.finish_reason, reply.tokens
                error = reply.error or ""
            found.append(
                Judgement(
                    id=picture.id,
                    prompt_id=picture.prompt_id,
                    prompt=picture.prompt,
                    category=picture.category,
                    verdict=None if text is None else self._protocol.read(text),
                    answer=text,
                    finish_reason=finish_reason,
                    tokens=tokens,
                    error=error or None,
                )
            )
        return found


def _differences(a: _Judged, b: _Judged, protocol: JudgingProtocol, seed: int) -> Iterator[Difference]:
    """The rate of all and of each category, b − a, over the pictures with a verdict in both."""
    one, other = a.run.name, b.run.name
    if a.run.prompts_digest != b.run.prompts_digest:
        why = "other prompts, or other numbers of pictures of them"
        yield Difference(
            figure=protocol.name, a=one, b=other, better="higher", value=None, low=None, high=None, why=why
        )
        return
    for name, found in rate_differences(a.judgements, b.judgements, protocol, seed).items():
        yield Difference(figure=f"{protocol.name}, {name}", a=one, b=other, better="higher", **asdict(found))
