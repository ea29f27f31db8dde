"""Columns, counts and durations as the commands print them."""

from __future__ import annotations


def aligned(rows: list[list[str]], *, right: int | None = 1) -> list[str]:
    """Rows of cells as lines; columns from number `right` on stand to the right, none where it is None."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]

    def placed(number: int, cell: str) -> str:
        to_the_right = right is not None and number >= right
        return cell.rjust(widths[number]) if to_the_right else cell.ljust(widths[number])

    return ["  ".join(placed(number, cell) for number, cell in enumerate(row)).rstrip() for row in rows]


def count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def duration(seconds: float) -> str:
    """Two figures, as a person would say it: 0.8 s, 45 s, 11 min, 2 h 05 min."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02d} min"
