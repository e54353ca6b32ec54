"""The license of a dataset card: an identifier that the Hub's documentation lists, or `other:NAME[,URL]` for one of one's own."""

import difflib
import re
from typing import Any

from recapdata.errors import PublishRefused

LICENSES = frozenset(
    """
    afl-3.0 agpl-3.0 apache-2.0 apple-amlr apple-ascl artistic-2.0 bigcode-openrail-m bigscience-bloom-rail-1.0
    bigscience-openrail-m bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear bsl-1.0 c-uda cc cc-by-2.0 cc-by-2.5 cc-by-3.0
    cc-by-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0
    cc-by-nc-sa-4.0 cc-by-nd-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc0-1.0 cdla-permissive-1.0 cdla-permissive-2.0
    cdla-sharing-1.0 creativeml-openrail-m deepfloyd-if-license ecl-2.0 epl-1.0 epl-2.0 etalab-2.0 eupl-1.1 eupl-1.2 gemma
    gfdl gpl gpl-2.0 gpl-3.0 h-research intel-research isc lgpl lgpl-2.1 lgpl-3.0 lgpl-lr llama2 llama3 llama3.1 llama3.2
    llama3.3 llama4 lppl-1.3c mit mpl-2.0 ms-pl ncsa odbl odc-by ofl-1.1 openrail openrail++ osl-3.0 other pddl postgresql
    unknown unlicense wtfpl zlib
    """.split()  # noqa: SIM905
)


OTHER = "other"
_OWN = re.compile(r"other:(?P<name>\w[\w.+-]*)(,(?P<link>https?://[^\s,]+))?", re.IGNORECASE | re.ASCII)


def check_license(text: str | None) -> str:
    """The identifier in the Hub's spelling; of a license of one's own, `other:NAME` or `other:NAME,URL`.

    Raises:
        PublishRefused: there is none, or the Hub does not know it, or one of one's own has no name.
    """
    if not text:
        raise PublishRefused(
            "the dataset has no license, and without one nobody may use it; add --license, such as "
            "cc-by-4.0, cc0-1.0 or apache-2.0 (other:NAME or other:NAME,URL for one that the Hub does not list; unknown)"
        )
    spelled = text.strip().lower()
    if spelled.partition(":")[0] == OTHER:
        if (own := _OWN.fullmatch(text.strip())) is None:
            raise PublishRefused(
                f"license {text!r} does not say which: write other:NAME, or other:NAME,URL with the address of its text, such "
                "as other:my-license-1.0,https://example.org/license (letters, digits, . _ + - in the name)"
            )
        return f"{OTHER}:{own['name']}" + (f",{own['link']}" if own["link"] else "")
    if spelled not in LICENSES:
        near = difflib.get_close_matches(spelled, sorted(LICENSES), n=3, cutoff=0.5)
        hint = (
            f"did you mean {' or '.join(near)}?"
            if near
            else "for one that is not on its list write other:NAME or other:NAME,URL"
        )
        raise PublishRefused(f"license {text!r} is not one that the Hub knows; {hint}")
    return spelled


def license_fields(license: str | None) -> dict[str, Any]:
    """The fields of a card's head for what `check_license` gave: license, and license_name and license_link of one's own."""
    if license is None or (own := _OWN.fullmatch(license)) is None:
        return {"license": license} if license else {}
    link = {"license_link": own["link"]} if own["link"] else {}
    return {"license": OTHER, "license_name": own["name"], **link}
