"""Near copies are found, all of them and nothing else."""

from __future__ import annotations

import random
from itertools import combinations

from bakeoff.drafting.copies import LIKE, across, find_copies, normalised

BASE = "please send the second parcel to the new address before friday because we move out on saturday morning"


def shingles(text: str) -> set[tuple[str, ...]]:
    words = normalised(text).split()
    return set(zip(words, words[1:], words[2:], strict=False))


def test_case_punctuation_and_numbers_make_no_difference() -> None:
    groups = find_copies(["Order 53 is LATE!", "order 9: is late", "order is late", "", ""]).group_of
    assert groups == [0, 0, 2, 3, 4]


def test_a_changed_word_in_a_long_text_is_a_near_copy_and_other_words_are_not() -> None:
    near, far = BASE.replace("morning", "evening"), " ".join(reversed(BASE.split()))
    assert find_copies([BASE, far, near]).groups == {0: [0, 2]}


def test_all_pairs_that_share_enough_are_found_and_no_other() -> None:
    draw = random.Random(3)  # noqa: S311 - texts for a test
    words = [f"word{chr(97 + number % 26)}{chr(97 + number // 26)}" for number in range(60)]
    rows = [draw.choices(words, k=draw.randint(4, 30)) for _ in range(150)]
    for row in list(rows):
        changed = list(row)
        changed[draw.randrange(len(changed))] = draw.choice(words)
        rows.append(changed)
    texts = [" ".join(row) for row in rows]
    sets = list(map(shingles, texts))
    near = {
        (one, other)
        for one, other in combinations(range(len(rows)), 2)
        if texts[one] == texts[other] or len(sets[one] & sets[other]) >= LIKE * len(sets[one] | sets[other]) > 0
    }
    group = find_copies(texts).group_of
    joined = list(range(len(rows)))
    for one, other in sorted(near):
        old, new = joined[other], joined[one]
        joined = [new if value == old else value for value in joined]
    assert len(near) > 20
    assert {pair for pair in combinations(range(len(rows)), 2) if group[pair[0]] == group[pair[1]]} == {
        pair for pair in combinations(range(len(rows)), 2) if joined[pair[0]] == joined[pair[1]]
    }


def test_a_search_without_time_says_that_it_did_not_finish() -> None:
    assert find_copies([BASE, BASE], seconds=-1).finished is False


def test_copies_in_train_are_told_for_the_other_splits_alone() -> None:
    copies = find_copies([BASE, "something else entirely", BASE, "a third text", "a third text"])
    assert list(across(copies, ["train", "train", "test", "dev", "test"])) == [(2, 0)]
