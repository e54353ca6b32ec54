"""The versions of the audit's rule sets: the one place where it is declared that rules have changed.

An audit says by which versions it was made. Two audits measure the same where these, the models and the sources of evidence are
equal (`recapdata.versions.comparable`), and an audit made by another version is computed again by the next `audits run`.

Raise a version by one when the rules give another output for any caption, picture or evidence that a user may have: a changed
rule or threshold, a word more in one of their tables, a library that computes otherwise. Once for each release of recapdata is
enough. Do not raise it for a comment, a moved file, or code that only became faster or easier to read.

`tests/audits/test_golden.py` compares the outputs on some hundred captions with those that the declared versions gave, and fails
where they have changed under an unchanged version; it says what to type.

A model is not a rule: pipelines, CLIP, OCR and detection models stand in an audit with their own revision.
"""

from collections.abc import Mapping

VERSIONS: Mapping[str, int] = {
    "claims": 1,  # audits/extraction: a parsed caption → its claims
    "coverage": 1,  # audits/text/coverage.py: words and CLIP tokens of a caption
    "hygiene": 1,  # audits/text/hygiene.py: flags of a caption
    "form": 1,  # language, tags and markup of a caption, recognized before it is parsed
    "copies": 1,  # audits/text/duplicates.py: captions that many images share
    "retention": 1,  # audits/text/names.py and its table: proper names of the alt text that a caption keeps
    "scores": 2,  # audits/clip/scores.py: what of a caption is scored by CLIP, and how
    "counterfactual": 1,  # audits/clip/counterfactuals.py and its table: captions with one claim made false
    "skew": 1,  # audits/clip/skew.py: the distance of captions from prompts
    "grounding": 2,  # audits/grounding and the lexicon: claims × evidence → verdicts
    "annotations": 1,  # audits/evidence/annotations.py
    "detector": 1,  # audits/evidence/detector.py and detections.py: which detections count
    "colors": 2,  # audits/evidence/colors.py and color_names.py: colors by pixels
    "clip_colors": 2,  # audits/evidence/color_clip.py: colors by CLIP
    "ocr": 1,  # audits/evidence/ocr.py: which of the words that were read count
}


def rules(*names: str) -> str:
    """The versions of rule sets as identities hold them: `claims:3 hygiene:2`."""
    return " ".join(f"{name}:{VERSIONS[name]}" for name in names)


def source_rules(name: str) -> str:
    """The version of an evidence source's rules, as it stands after the plus in the source's identity: `v2`."""
    return f"v{VERSIONS[name]}"
