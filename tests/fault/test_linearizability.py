"""The checker notices what it is for."""
import math
import random

import pytest

from linearizability import Call, Register, check

READ_OLD = [Call(0, 1, ("swap", 0, 1, True)), Call(2, 3, ("read", 0))]
BACK_AND_FORTH = [Call(0, 10, ("swap", 0, 1, True)), Call(1, 2, ("read", 1)), Call(3, 4, ("read", 0))]
TWO_WINNERS = [Call(0, 2, ("swap", 0, 1, True)), Call(1, 3, ("swap", 0, 2, True))]
LOST_UPDATE = [Call(0, 1, ("swap", 0, 1, True)), Call(2, 3, ("swap", 0, 2, True))]
REFUSED_FOR_NOTHING = [Call(0, 1, ("swap", 0, 1, False)), Call(2, 3, ("read", 0))]
UNDONE = [Call(0, math.inf, ("swap", 0, 1, None)), Call(1, 2, ("read", 1)), Call(3, 4, ("read", 0))]


@pytest.mark.parametrize("history", [READ_OLD, BACK_AND_FORTH, TWO_WINNERS, LOST_UPDATE, REFUSED_FOR_NOTHING, UNDONE])
def test_what_cannot_have_happened_is_noticed(history):
    assert check(history, Register(0)) is not None


@pytest.mark.parametrize("history", [
    [Call(0, 3, ("swap", 0, 1, True)), Call(1, 2, ("read", 0)), Call(1, 4, ("read", 1))],
    [Call(0, math.inf, ("swap", 0, 1, None)), Call(1, 2, ("read", 0)), Call(5, 6, ("read", 1))],
    [Call(0, math.inf, ("swap", 0, 1, None)), Call(1, 2, ("read", 0)), Call(5, 6, ("swap", 0, 2, True))],
    [Call(0, 5, ("swap", 0, 1, True)), Call(1, 6, ("swap", 0, 2, False)), Call(2, 3, ("swap", 1, 3, True))],
])
def test_what_can_have_happened_passes(history):
    assert check(history, Register(0)) is None


def test_a_long_history_of_a_real_register_passes_and_one_wrong_read_in_it_does_not(seed):
    chance = random.Random(seed)
    state, calls, now = 0, [], 0.0
    for i in range(400):
        now += chance.random()
        began, ended = now - chance.random() * 4, now + chance.random() * 4  # it acts at `now`
        if chance.random() < 0.5:
            calls.append(Call(began, ended, ("read", state)))
        else:
            old = state if chance.random() < 0.7 else -1
            lost = chance.random() < 0.05
            calls.append(Call(began, math.inf if lost else ended, ("swap", old, i + 1, None if lost else old == state)))
            state = i + 1 if old == state else state
    assert check(calls, Register(0)) is None
    calls.append(Call(now + 10, now + 11, ("read", -2)))
    assert check(calls, Register(0)) is not None
