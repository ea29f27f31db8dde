"""What a message tells, asserted without its sentences: its beginning, and the places, names and numbers in it."""

from __future__ import annotations


def tells(message: str | None, start: str, *parts: str) -> bool:
    """Whether the message begins with `start`, and has the parts behind it in this order."""
    place = len(start) if message is not None and message.startswith(start) else -1
    for part in parts:
        if message is None or place < 0 or (found := message.find(part, place)) < 0:
            return False
        place = found + len(part)
    return place >= 0
