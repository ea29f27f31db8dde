"""Clocks that jump while a command runs, each command's by itself: what the time is, is libfaketime's to say."""

from __future__ import annotations

from pathlib import Path

from stress.commands import Start
from stress.disturbance import Disturbance
from stress.scene import Scene

LIBRARIES = ("/usr/lib/*/faketime/libfaketimeMT.so.1", "/usr/lib/faketime/libfaketimeMT.so.1")
JUMPS = {
    "+0": "back to the right time",
    "+61": "a minute ahead",
    "+1d": "a day ahead",
    "-1d": "a day back",
    "-1h": "an hour back",
}


class JumpingClocks(Disturbance):
    """Times of files stay as they are, as on a server's disk: commands disagree with it and with each other."""

    name = "jumping clocks"

    def lacks(self) -> str:
        return "" if library() else "no libfaketime (Debian: apt install faketime)"

    def prepare(self, scene: Scene) -> None:
        def with_a_clock(start: Start) -> None:
            start.clock = scene.folder / f"clock-{len(scene.commands)}"
            start.clock.write_text("+0\n")
            start.environment |= {
                "LD_PRELOAD": str(library()),
                "FAKETIME_TIMESTAMP_FILE": str(start.clock),
                "FAKETIME_CACHE_DURATION": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
                "NO_FAKE_STAT": "1",
            }

        scene.dressing.append(with_a_clock)

    def disturb(self, scene: Scene) -> str:
        clocks = [command.clock for command in scene.alive() if command.clock is not None]
        if not clocks:
            return ""
        jump = scene.draw.choice(sorted(JUMPS))
        beside = scene.folder / "clock"
        beside.write_text(f"{jump}\n")
        beside.replace(scene.draw.choice(clocks))
        return JUMPS[jump]


def library() -> Path | None:
    found = [path for pattern in LIBRARIES for path in Path("/").glob(pattern.lstrip("/"))]
    return found[0] if found else None
