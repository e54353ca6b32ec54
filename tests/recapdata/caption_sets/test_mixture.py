"""Mixtures: what a text means, that draws depend on (seed, epoch, key) alone, and what becomes of long captions."""

import pickle

import pytest

from recapdata.caption_sets.mixture import Mixture, chance, first_sentences, fitting_sentences
from recapdata.errors import CaptionSetNotFound, OptionError

KEYS = [f"{number:064x}" for number in range(8000)]


def words(text):
    return len(text.split())


# --- texts -----------------------------------------------------------------------------------------------------------


def test_weights_become_shares():
    assert Mixture.parse("recap-short=1, recap-long=3").shares == {"recap-short": 0.25, "recap-long": 0.75}


def test_one_set_needs_no_weight():
    assert Mixture.parse("alt").shares == {"alt": 1.0}


def test_named_blends():
    assert Mixture.parse("recap-mix").shares == {"recap-short": 0.5, "recap-long": 0.5}
    assert Mixture.parse("dalle3").shares == pytest.approx({"recap-long": 0.95, "alt": 0.05})


def test_settings_follow_and_arguments_win():
    mixture = Mixture.parse("recap-long; length=random; dropout=0.1; over-length=drop")
    assert (mixture.length, mixture.dropout, mixture.over_length) == ("random", 0.1, "drop")
    assert Mixture.parse("recap-long;dropout=0.1", dropout=0.5, over_length=None).dropout == 0.5


@pytest.mark.parametrize(
    "text", ["alt", "a=1,b=3", "a=0.1,b=0.7;length=random;dropout=0.25;over-length=sentences"]
)
def test_its_text_reads_back(text):
    mixture = Mixture.parse(text)
    assert Mixture.parse(str(mixture)) == mixture


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "no name of a caption set"),
        ("a=1,,b=1", "comma"),
        ("a=1,a=2", "a twice"),
        ("a=half", "'half' is not a number"),
        ("a=0", "weight of a is 0"),
        ("a=-1,b=2", "weight of a is -1"),
        ("a=nan", "weight of a is nan"),
        ("A b=1", "'A b'"),
        ("a;dropout=2", "dropout is 2"),
        ("a;dropout=x", "'x' is not a number"),
        ("a;length=long", "length is 'long'"),
        ("a;over-length=cut", "over-length is 'cut'"),
        ("a;color=red", "no setting 'color'"),
    ],
)
def test_a_text_that_is_no_mixture_says_what_is_wrong(text, named):
    with pytest.raises(OptionError, match="mixture") as error:
        Mixture.parse(text)
    assert named in str(error.value)


def test_a_set_that_the_dataset_lacks():
    with pytest.raises(CaptionSetNotFound, match=r"me/ds has no caption set 'b'.*it has a, alt"):
        Mixture.parse("a=1,b=1").require(["a", "alt"], where="me/ds")
    with pytest.raises(CaptionSetNotFound, match=r"no caption set 'recap-lon' \(did you mean recap-long\?\)"):
        Mixture.parse("recap-lon=1").require(["alt", "recap-long"], where="me/ds")


# --- draws -----------------------------------------------------------------------------------------------------------


def test_draws_follow_the_shares():
    mixture = Mixture.parse("a=1,b=3")
    share = sum(mixture.draw(0, 0, key) == "b" for key in KEYS) / len(KEYS)
    assert share == pytest.approx(0.75, abs=0.02)  # four standard deviations: 4·√(¾·¼/8000) = 0.019


def test_a_draw_is_a_function_of_seed_epoch_and_key():
    mixture = Mixture.parse("a=1,b=1")
    draws = [mixture.draw(3, 5, key) for key in KEYS[:200]]
    assert [mixture.draw(3, 5, key) for key in reversed(KEYS[:200])] == draws[::-1]
    assert [mixture.draw(3, 6, key) for key in KEYS[:200]] != draws
    assert [mixture.draw(4, 5, key) for key in KEYS[:200]] != draws


def test_chance_never_changes():
    """Pinned, since published trainings must be repeatable: the top 53 bits of blake2b-64 of the joined text."""
    assert chance(0, 0, "k", "set") == 0.21277861636496942
    assert all(0 <= chance(seed, 1, "k", "set") < 1 for seed in range(100))


def test_a_missing_caption_leaves_the_draw_to_the_others():
    mixture = Mixture.parse("a=1,b=1")
    for key in KEYS[:20]:
        assert mixture.pick({"a": None, "b": "text"}, seed=0, epoch=0, key=key).set_name == "b"
    nothing = mixture.pick({"a": None}, seed=0, epoch=0, key="k")
    assert (nothing.set_name, nothing.caption, nothing.over_length) == (None, None, False)


def test_dropout_empties_its_share():
    mixture = Mixture.parse("a;dropout=0.2")
    empty = sum(mixture.pick({"a": "x"}, seed=0, epoch=0, key=key).caption == "" for key in KEYS) / len(KEYS)
    assert empty == pytest.approx(0.2, abs=0.018)  # 4·√(0.2·0.8/8000)


def test_random_length_keeps_one_to_all_sentences_evenly():
    mixture = Mixture.parse("a;length=random")
    drawn = [mixture.pick({"a": "One. Two! Three?"}, seed=0, epoch=0, key=key).caption for key in KEYS]
    for kept in ("One.", "One. Two!", "One. Two! Three?"):
        assert drawn.count(kept) / len(KEYS) == pytest.approx(1 / 3, abs=0.022)


# --- over length -----------------------------------------------------------------------------------------------------

LONG = "One two three. Four five six. Seven eight nine."


def pick(text, captions, limit):
    return Mixture.parse(text).pick(captions, seed=0, epoch=0, key="k", count_tokens=words, limit=limit)


def test_truncate_leaves_the_cutting_to_the_encoder():
    assert pick("a", {"a": LONG}, 6).caption == LONG
    assert pick("a", {"a": LONG}, 6).over_length
    assert not pick("a", {"a": LONG}, 9).over_length


def test_sentences_keeps_what_fits_whole():
    assert pick("a;over-length=sentences", {"a": LONG}, 7).caption == "One two three. Four five six."
    assert pick("a;over-length=sentences", {"a": LONG}, 2).caption == "One two three."


def test_drop_takes_another_set_or_none():
    drawn = pick("a=1,b=0.001;over-length=drop", {"a": LONG, "b": "Short."}, 6)
    assert (drawn.set_name, drawn.caption, drawn.over_length) == ("b", "Short.", True)
    nothing = pick("a;over-length=drop", {"a": LONG}, 6)
    assert (nothing.set_name, nothing.caption, nothing.over_length) == (None, None, True)


def test_without_a_counter_nothing_is_over_length():
    assert (
        not Mixture.parse("a;over-length=drop")
        .pick({"a": LONG}, seed=0, epoch=0, key="k", limit=1)
        .over_length
    )


# --- sentences -------------------------------------------------------------------------------------------------------


def test_first_and_fitting_sentences():
    assert first_sentences("A. B. C.", 0.0) == "A."
    assert first_sentences("A. B. C.", 0.999) == "A. B. C."
    assert fitting_sentences("A b. C d. E f.", words, 4) == "A b. C d."


# --- in loaders ------------------------------------------------------------------------------------------------------


def test_transform_of_a_dataset_equals_the_picks():
    from datasets import Dataset
    from torch.utils.data import DataLoader

    mixture = Mixture.parse("a=1,b=1")
    rows = Dataset.from_dict(
        {"key": KEYS[:12], "a": [f"a{n}" for n in range(12)], "b": [None, *(f"b{n}" for n in range(1, 12))]}
    )
    seen = rows.with_transform(mixture.transform(seed=1, epoch=2))
    wanted = [
        mixture.pick({"a": row["a"], "b": row["b"]}, seed=1, epoch=2, key=row["key"]).caption for row in rows
    ]
    assert [row["caption"] for row in seen] == wanted
    assert seen[0]["caption_set"] == "a"
    batches = DataLoader(seen, batch_size=5, collate_fn=list)
    assert [row["caption"] for batch in batches for row in batch] == wanted


def test_transform_can_be_sent_to_worker_processes():
    transform = Mixture.parse("a").transform(seed=0, count_tokens=words)
    assert pickle.loads(pickle.dumps(transform)) == transform


def test_transform_names_the_column_that_is_missing():
    with pytest.raises(CaptionSetNotFound, match="no column 'key'"):
        Mixture.parse("a").transform(seed=0)({"a": ["x"]})
