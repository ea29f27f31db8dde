"""`bakeoff`, whose claims are touched every second and may be taken over after six, in place of ten and sixty.

A command that is suspended for seconds loses its claims as one does that is suspended for a minute.
"""

from __future__ import annotations

import signal

TOUCHED, STALE = 1.0, 6.0

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # while it is imported
    from bakeoff.cli import main
    from bakeoff.records import claims
    from bakeoff.runner import scheduler

    assert scheduler.CLAIM_SECONDS < claims.STALE_SECONDS
    scheduler.CLAIM_SECONDS, claims.STALE_SECONDS = TOUCHED, STALE
    signal.signal(signal.SIGINT, signal.default_int_handler)
    main()
