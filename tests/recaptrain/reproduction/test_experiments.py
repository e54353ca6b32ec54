"""The arms of the experiments, and the caption sets that they need."""

import pytest

from recapdata.caption_sets.mixture import Mixture
from recapdata.errors import OptionError
from recaptrain.reproduction.experiments import BASE, BOTH, EXPERIMENTS, choose_arms, sets_of
from recaptrain.reproduction.planting import KINDS


def test_recap_has_its_arms_by_captions_and_by_parts() -> None:
    names = [arm.name for arm in EXPERIMENTS["recap"]]
    parts = ("", "/unet", "/text_encoder")
    assert names == [
        BASE,
        *(f"{each}{part}" for part in parts for each in ("alttext", "short", "long", "mix")),
    ]
    main = [arm.name for arm in choose_arms("recap", ())]
    assert main == [BASE, "alttext", "short", "long", "mix", "mix/unet", "mix/text_encoder"]


def test_blends_are_dalle3s_shares() -> None:
    shares = [Mixture.parse(arm.mixture).weights for arm in EXPERIMENTS["blends"][1:]]
    assert [each.get("recap-long", 0) for each in shares] == [0, 65, 80, 90, 95, 100]
    assert all(sum(each.values()) == 100 for each in shares)


def test_lies_are_of_every_kind_and_trained_alike() -> None:
    arms = EXPERIMENTS["lies"]
    assert {arm.name.partition("-")[0] for arm in arms} == {BASE, "true", *KINDS}
    assert {arm.train for arm in arms} == {BOTH}


def test_arms_are_taken_in_the_experiments_order() -> None:
    assert [arm.name for arm in choose_arms("recap", ("mix", "base", "alttext"))] == [
        "base",
        "alttext",
        "mix",
    ]
    assert len(choose_arms("recap", ("all",))) == 13
    with pytest.raises(OptionError, match="did you mean mix"):
        choose_arms("recap", ("mixx",))


def test_planted_sets_come_after_the_one_that_they_are_planted_in() -> None:
    sets = sets_of(choose_arms("lies", ("color-20", "vague-50")), "here")
    assert [each.name for each in sets] == ["recap-long", "color-20", "vague-50"]
    assert sets[1].captioner == "recaptrain.reproduction.planting:open_planter:color=0.2,of=here:recap-long"
    assert [each.name for each in sets_of(choose_arms("recap", ("alttext", "mix")), "here")] == [
        "alt",
        "recap-short",
        "recap-long",
    ]
