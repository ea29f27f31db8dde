"""Asks the user whether the commands of an experiment file may run."""

from __future__ import annotations

from bakeoff.cli.output import print_note
from bakeoff.cli.questions import ask, can_ask
from bakeoff.errors import StoreError
from bakeoff.planning.runs import Plan
from bakeoff.runner.trust import Commands, commands_of, is_trusted, remember
from bakeoff.spec.document import Document


def agreed(document: Document, plan: Plan, *, trust: bool, remedy: str, may_ask: bool = True, trusted: str = "") -> str:
    """The hash of the commands that the user agrees to, for `Settings.trusted`; empty where the file names no command.

    trust: whether the user agrees by this call. If not, an agreement that was remembered counts; then, on a terminal, the user
    is asked unless `may_ask` is False. trusted: the hash of commands that the user agreed to on another machine, for a job of
    a submission: no other commands may run. remedy: how to trust the file, for the message. Raises BakeoffError where nobody
    has agreed.
    """
    found = commands_of(document, plan)
    if found is None:
        return ""
    if trusted:
        if trusted != found.digest:
            raise found.refusal(f"submit it again: {remedy}")
        return trusted
    if not trust and is_trusted(found.digest):
        return found.digest
    if not trust:
        if not (may_ask and can_ask()):
            raise found.refusal(remedy)
        print_note(f"{found.file} runs commands on this machine, with your rights:", *found.lines)
        if ask("run them, now and until the file or this code is edited?", ("no", "yes")) == "no":
            raise found.refusal(remedy)
    keep(found)
    return found.digest


def keep(commands: Commands) -> None:
    """Remembers the user's consent in a file; where that can't be written, prints so: the consent then holds for this call
    alone."""
    try:
        remember(commands)
    except StoreError as error:
        print_note(f"caution: not remembered that the file is trusted: {error}")


def trust_notes(document: Document, plan: Plan, *, remedy: str) -> list[str]:
    """For `check` and `plan`: a sentence about the experiment file's commands, if it names any. remedy: how to trust them."""
    found = commands_of(document, plan)
    return [] if found is None else [found.note(remedy)]
