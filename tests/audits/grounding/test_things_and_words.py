"""What a caption misses, parted as the App lists it: things of the picture, and words that are written there."""

from audits.evidence import Evidence, Observation, Scope
from audits.grounding.recall import recall, things_and_words


def test_things_and_words_are_parted() -> None:
    scope = Scope(
        classes=frozenset({"dog", "the word search"}),
        kinds=frozenset({"object", "text"}),
        attributes=frozenset({"text"}),
    )
    seen = [
        Observation(bbox=(0, 0, 4, 4), category="dog"),
        Observation(bbox=(4, 4, 4, 4), category="the word search"),
        Observation(bbox=(0, 4, 4, 2), text="STOP"),
    ]
    evidence = Evidence(source="test", scope=scope, objects=tuple(seen), width=8, height=8)
    things, words = things_and_words(recall([], [evidence]).missed)
    assert sorted(things) == ["dog", "the word search"]
    assert words == ['"STOP"']
    assert things_and_words([]) == ([], [])
