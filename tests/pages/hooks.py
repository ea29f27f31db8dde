"""A hook of mkdocs: on the site, a link to a file of the repository that is no page leads to that file's address.

In the repository such a link is relative, so that it works in a checkout, in an editor and on GitHub alike.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path, PurePosixPath
from posixpath import normpath
from typing import Any

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"(!?\[(?:[^\[\]]|\[[^\]]*\])*\]\()(\.\./[^)#\s]+)(#[^)\s]*)?\)")
"""A link that goes up: what comes before the path, the path, and its anchor."""
log = logging.getLogger("mkdocs.hooks")


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Any) -> str:
    """The page's text, its links out of the folder of documents replaced; one that leads nowhere ends a strict build."""
    folder = PurePosixPath("docs", page.file.src_uri).parent

    def replaced(found: re.Match[str]) -> str:
        path = normpath(str(folder / found[2]))
        if path.startswith("docs/"):
            return found[0]
        if not (ROOT / path).exists():
            log.warning("%s: the repository has no %s", page.file.src_uri, path)
        kind = "tree" if (ROOT / path).is_dir() else "blob"
        return f"{found[1]}{config.repo_url}/{kind}/main/{path}{found[3] or ''})"

    return LINK.sub(replaced, markdown)
