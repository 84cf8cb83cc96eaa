"""Whether a history of calls could have happened one after the other: the search of Wing and Gong ("Testing and Verifying Concurrent Objects", 1993) with the
memory of Lowe ("Testing for linearizability", 2017), as porcupine has it.

Each call took effect at one moment between its beginning and its answer; one without an answer at any moment after its beginning, or never. The search
takes any call that began before every call not taken yet has ended, lets it act on the model, and goes on; what it has seen (calls taken, state) it does not try
again."""
import dataclasses
import math


@dataclasses.dataclass
class Call:
    began: float
    ended: float   # math.inf: no answer
    what: tuple    # for the model
    who: str = ""

    @property
    def answered(self):
        return self.ended != math.inf


class Register:
    """A value that is read and swapped: ("read", value), ("swap", old, new, True or False or None for unknown)."""

    def __init__(self, initial):
        self.initial = initial

    def step(self, state, what):
        """The state after a call, or None when it cannot have answered so in this state."""
        if what[0] == "read":
            return state if what[1] == state else None
        _, old, new, outcome = what
        if outcome is False:
            return state if old != state else None
        return new if old == state else None


def explain(calls, taken, state, model):
    began = min(call.began for call in calls)
    left = [call for i, call in enumerate(calls) if not taken >> i & 1 and call.answered][:6]
    lines = [f"  {call.began - began:8.3f}..{call.ended - began:8.3f} {call.who} {call.what}" for call in left]
    return f"{bin(taken).count('1')} of {len(calls)} calls fit, to the state {state!r}; then none of:\n" + "\n".join(lines)


def check(calls, model, steps_max=2_000_000):
    """None when the history is linearizable, else why not. More than steps_max steps: an error, for then nothing is known."""
    calls = sorted(calls, key=lambda call: call.began)
    needed = sum(1 << i for i, call in enumerate(calls) if call.answered)
    stack, seen, best = [(0, model.initial)], {(0, model.initial)}, (0, model.initial)
    steps = 0
    while stack:
        taken, state = stack.pop()
        if taken & needed == needed:
            return None
        if bin(taken & needed).count("1") > bin(best[0] & needed).count("1"):
            best = (taken, state)
        first_end, candidates = math.inf, []
        low = (~taken & (taken + 1)).bit_length() - 1  # the first call not taken
        for i in range(low, len(calls)):
            if taken >> i & 1:
                continue
            if calls[i].began > first_end:
                break
            candidates.append(i)
            first_end = min(first_end, calls[i].ended)
        for i in reversed(candidates):
            steps += 1
            assert steps <= steps_max, f"undecided after {steps_max} steps over {len(calls)} calls"
            after = model.step(state, calls[i].what) if calls[i].began <= first_end else None
            if after is not None and (taken | 1 << i, after) not in seen:
                seen.add((taken | 1 << i, after))
                stack.append((taken | 1 << i, after))
    return explain(calls, *best, model)
