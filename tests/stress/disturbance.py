"""What a disturbance is: a class with a name, which says whether it can be made here, and makes it at one moment."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from stress.scene import Scene


class Disturbance(ABC):
    """One kind of misfortune."""

    name: ClassVar[str]

    def lacks(self) -> str:
        """Why it cannot be made on this machine; empty where it can."""
        return ""

    def prepare(self, scene: Scene) -> None:  # noqa: B027 - most have nothing to prepare
        """Called before the experiment is written; what must be undone in the end is pushed onto `scene.closing`."""

    @abstractmethod
    def disturb(self, scene: Scene) -> str:
        """Does it now, while a command may be at work, and gives what was done: nothing where there was nothing to disturb.

        What must be undone soon is given to `scene.undo_later`.
        """

    def between(self, scene: Scene) -> list[str]:
        """Called where no command is at work; gives what went wrong."""
        return []
