"""What clients of every generation once said to a hub is said again, byte for byte but for what they had from the hub, and the answers have the shape they had.

tests/integration/record_conversations writes the conversations; tests/harness/conversation.py says how they are kept."""
import json
import re

import pytest

from conversation import Replay
from hub_process import ROOT

CONVERSATIONS = sorted((ROOT / "tests" / "data" / "conversations").glob("*.jsonl"))


def test_there_are_conversations_of_every_generation():
    names = {path.stem for path in CONVERSATIONS}
    assert {"hub-0.32", "hub-0.36", "hub-0.36-without-xet", "hub-1.19", "newest", "newest-without-xet", "hf-command", "javascript"} <= names


@pytest.mark.parametrize("path", CONVERSATIONS, ids=lambda path: path.stem)
def test_a_recorded_conversation_goes_as_it_went(hub, path):
    user = hub.make_user("again-" + re.sub(r"\W", "-", path.stem))
    replay, wrong = Replay(hub, user.name, user.token), []
    for number, text in enumerate(path.read_text().splitlines()):
        line = json.loads(text)
        try:
            found = replay.exchange(line)
        except (KeyError, IndexError, TypeError, ValueError) as error:  # what a request needs was not in an earlier answer
            found = [f"cannot be asked: {error!r}"]
            replay.answers.append(None)
        wrong += [f"{number + 1}: {line['ask'][:200]}: {text}" for text in found]
    assert not wrong, "\n".join(wrong[:40])


@pytest.mark.parametrize("path", CONVERSATIONS, ids=lambda path: path.stem)
def test_nothing_secret_is_written_down(path):
    text = path.read_text()
    assert not re.search(r"hf_[A-Za-z0-9]{20}|eyJ[A-Za-z0-9_-]{20}|127\.0\.0\.1:\d|qqrecorder", text)
