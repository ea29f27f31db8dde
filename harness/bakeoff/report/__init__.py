"""Every output of a comparison: `text` (Markdown, LaTeX, CSV, JSON, cards), `page` (HTML), and `beside`, two experiments
side by side. All are written from the same rows; nothing here reads a record."""

from __future__ import annotations

from pathlib import Path
from typing import Final

TEMPLATES: Final = Path(__file__).parent / "templates"
"""Folder of the jinja2 templates of the page and of LaTeX tables."""
