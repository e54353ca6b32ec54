"""The captions that the embedded diffusion model learns from: alt text, and true lists of what is there."""

from collections.abc import Sequence
from dataclasses import dataclass

from recapdata.scenes import Scene, alt_text
from recapdata.scenes.world import Dice


@dataclass(frozen=True, slots=True, kw_only=True)
class Curriculum:
    """Which captions the model learns from.

    Attributes:
        listing: share of captions that truly list kinds of shapes ("red circle, blue star"); the others are alt text.
        complete: share of the lists that leave no kind out.
        dropout: share of empty captions, which classifier-free guidance needs.
    """

    listing: float = 0.3
    complete: float = 0.0
    dropout: float = 0.1


def web_caption(curriculum: Curriculum, scene: Scene, dice: Dice) -> str:
    """Alt text of a scene, or a true list of its kinds of shapes or some of them, or nothing."""
    if dice.chance(curriculum.dropout):
        return ""
    if not dice.chance(curriculum.listing):
        return alt_text(scene)
    everything = curriculum.complete > 0 and dice.chance(curriculum.complete)
    return list_kinds(scene, dice, everything=everything)


def list_kinds(scene: Scene, dice: Dice, *, everything: bool) -> str:
    """All or some of a scene's kinds of shapes in any order, as tags or as a phrase, sometimes with the background."""
    kinds = list(dict.fromkeys(f"{drawn.color} {drawn.shape}" for drawn in scene.objects))
    listed = dice.sample(kinds, len(kinds) if everything else 1 + dice.below(len(kinds)))
    text = phrase(listed) if dice.chance(0.5) else ", ".join(listed)
    return f"{text} on {scene.background}" if dice.chance(0.3) else text


def phrase(kinds: Sequence[str]) -> str:
    """`a red circle, an orange star and a blue ring`."""
    names = [f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}" for kind in kinds]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
