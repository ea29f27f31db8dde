"""When two texts count as the same."""

from __future__ import annotations

import unicodedata


def normalised(text: object) -> str:
    """The text in Unicode's form NFKC, without case, and with each run of white space as one blank."""
    return " ".join(unicodedata.normalize("NFKC", str(text)).casefold().split())
