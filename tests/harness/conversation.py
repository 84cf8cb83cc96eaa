"""Conversations of real clients with a hub: written down without what was secret or accidental, and held again with another hub.

A conversation is a file of JSON lines, one an exchange: what was asked, and the shape of the answer: status, the headers that clients read, keys and types of its JSON.
What a request took from an earlier answer is written as {{exchange|where|part}}: the part of a JSON value ("/pointer") or a header (":name") of the answer
to that exchange, counted between the characters that addresses are made of. So every token, commit and signature is the replaying hub's own. {user}, {token}
and {hub} stand for themselves."""
import base64
import json
import re

REQUEST_HEADERS = re.compile(r"accept$|authorization$|content-type$|range$|if-none-match$|user-agent$|x-(?!request-id|amzn|api-key).*")
# names whose values must be the same; others must be there
EXACT_HEADERS = {"content-type", "x-error-code", "x-linked-size", "content-range", "accept-ranges", "x-xet-hash"}
ANSWER_HEADERS = EXACT_HEADERS | {"etag", "x-linked-etag", "x-repo-commit", "location", "link", "x-xet-refresh-route", "x-xet-access-token", "x-xet-cas-url", "x-xet-token-expiration"}
BETWEEN = re.compile(r"""([/?&=:#"'<>,;\s\\{}\[\]@!|]+)""")
REFERENCE = re.compile(r"\{\{(\d+)\|([^|{}]*)\|(\d+)\}\}")


def parts(text):
    return BETWEEN.split(text)[::2]


def is_taken(part):
    """Whether a part is one that a client could only have from the hub."""
    return len(part) >= 16 and any(c.isdigit() for c in part)


def texts(value, pointer=""):
    """(pointer, text) of every text in a JSON value."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from texts(item, f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}")
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield from texts(item, f"{pointer}/{i}")
    elif isinstance(value, str):
        yield pointer, value


def at_pointer(value, pointer):
    for key in pointer.split("/")[1:]:
        key = key.replace("~1", "/").replace("~0", "~")
        value = value[int(key)] if isinstance(value, list) else value[key]
    return value


def json_of(headers, body):
    if "json" not in headers.get("content-type", "") or not body:
        return None
    try:
        return json.loads(body)
    except ValueError:
        return None


# ---- shapes: {"key": shape, "key?": not in all of a list}, [shape of the items], or names of types

def kind(value):
    return "null" if value is None else "bool" if isinstance(value, bool) else "number" if isinstance(value, (int, float)) else "text"


def merge(a, b):
    if a is None or b is None:
        return b if a is None else a
    if isinstance(a, dict) and isinstance(b, dict):
        named = lambda shape: {key.rstrip("?"): (key.endswith("?"), value) for key, value in shape.items()}
        a, b, merged = named(a), named(b), {}
        for key in {**a, **b}:
            maybe = key not in a or key not in b or a[key][0] or b[key][0]
            merged[key + "?" * maybe] = merge(a.get(key, (0, None))[1], b.get(key, (0, None))[1])
        return merged
    if isinstance(a, list) and isinstance(b, list):
        return [merge(*(x[0] if x else None for x in (a, b)))] if a or b else []
    if isinstance(a, str) and isinstance(b, str):
        return "|".join(sorted(set(a.split("|")) | set(b.split("|"))))
    return "any"


def shape_of(value):
    if isinstance(value, dict):
        return {key: shape_of(item) for key, item in value.items()}
    if isinstance(value, list):
        shape = None
        for item in value:
            shape = merge(shape, shape_of(item))
        return [shape] if value else []
    return kind(value)


def misfits(shape, value, where=""):
    """What of a value is not as it was: missing keys and other types. More keys are welcome."""
    if shape == "any" or shape == "null" or (isinstance(shape, str) and "null" in shape.split("|") and value is None):
        return []
    if isinstance(shape, dict):
        if not isinstance(value, dict):
            return [f"{where}: {kind(value) if not isinstance(value, list) else 'list'} for an object"]
        found = []
        for key, item in shape.items():
            name = key.rstrip("?")
            if name in value:
                found += misfits(item, value[name], f"{where}/{name}")
            elif not key.endswith("?"):
                found.append(f"{where}/{name} is missing")
        return found
    if isinstance(shape, list):
        if not isinstance(value, list):
            return [f"{where}: no list"]
        if bool(shape) != bool(value):
            return [f"{where}: {len(value)} items, but there were {'some' if shape else 'none'}"]
        return [text for item in value for text in misfits(shape[0], item, f"{where}[]")] if shape else []
    if isinstance(value, (dict, list)) or kind(value) not in shape.split("|"):
        return [f"{where}: {type(value).__name__} for {shape}"]
    return []


# ---- writing down

class Writer:
    def __init__(self, user, token, hub):
        self.names = ((token, "{token}"), (hub, "{hub}"), (hub.removeprefix("http://"), "{address}"), (user, "{user}"))
        self.known = {}  # part -> reference

    def clean(self, text):
        for name, placeholder in self.names:
            text = text.replace(name, placeholder)
        split = BETWEEN.split(text)
        split[::2] = [self.known.get(part, part) if is_taken(part) else part for part in split[::2]]
        return "".join(split)

    def line(self, number, exchange):
        headers = {key: self.clean(value) for key, value in sorted(exchange.headers.items()) if REQUEST_HEADERS.match(key) and value != "*/*"}
        line = {"ask": f"{exchange.method} {self.clean(exchange.path)}", "headers": headers}
        try:
            if exchange.body:
                line["body"] = self.clean(exchange.body.decode())
        except UnicodeDecodeError:
            line["base64"] = base64.b64encode(exchange.body).decode()
        answer = {"status": exchange.status, "headers": {key: value.split(";")[0] if key in EXACT_HEADERS else "" for key, value in
                                                         sorted(exchange.answer_headers.items()) if key in ANSWER_HEADERS}}
        found = json_of(exchange.answer_headers, exchange.answer)
        if found is not None:
            answer["shape"] = shape_of(found)
        elif "octet-stream" in exchange.answer_headers.get("content-type", ""):
            answer["bytes"] = len(exchange.answer)
        line["answer"] = answer
        values = [(f":{key}", value) for key, value in exchange.answer_headers.items() if key in ANSWER_HEADERS] + list(texts(found))
        for where, value in values:
            for i, part in enumerate(parts(value)):
                if is_taken(part) and not re.search(r"[|{}]", where):
                    self.known.setdefault(part, "{{%d|%s|%d}}" % (number, where, i))
        return line


def write(path, exchanges, user, token, hub):
    writer = Writer(user, token, hub)
    lines = [json.dumps(writer.line(number, exchange), separators=(",", ":"), ensure_ascii=False) for number, exchange in enumerate(exchanges)]
    text = "".join(line + "\n" for line in lines)
    secret = re.search(r".{60}(hf_[A-Za-z0-9]{20}|eyJ[A-Za-z0-9_-]{20}).{20}", text)
    assert token not in text and not secret, f"a secret would be written down: {secret}"
    path.write_text(text)


# ---- holding it again

class Replay:
    def __init__(self, hub, user, token):
        self.hub = hub
        self.names = {"{user}": user, "{token}": token, "{hub}": hub.url, "{address}": hub.url.removeprefix("http://")}
        self.answers = []

    def value(self, match):
        number, where, part = int(match[1]), match[2], int(match[3])
        answer = self.answers[number]
        text = answer.headers[where[1:]] if where.startswith(":") else at_pointer(answer.json(), where)
        return parts(text)[part]

    def fill(self, text):
        text = REFERENCE.sub(self.value, text)
        for placeholder, name in self.names.items():
            text = text.replace(placeholder, name)
        return text

    def exchange(self, line):
        """Asks; what of the answer is not as it was."""
        method, path = self.fill(line["ask"]).split(" ", 1)
        body = base64.b64decode(line["base64"]) if "base64" in line else self.fill(line["body"]).encode() if "body" in line else None
        if body is None and method in ("POST", "PUT", "PATCH"):
            body = b""
        headers = {key: self.fill(value) for key, value in line["headers"].items()}
        answer, wanted = self.hub.request(method, path, body, headers=headers), line["answer"]
        self.answers.append(answer)
        if answer.status != wanted["status"]:
            return [f"status {answer.status} for {wanted['status']}: {answer.body[:300]!r}"]
        found = []
        for key, value in wanted["headers"].items():
            given = answer.headers.get(key)
            if given is None or (key in EXACT_HEADERS and given.split(";")[0] != value):
                found.append(f"{key}: {given} for {value or 'something'}")
        if "shape" in wanted:
            value = json_of(answer.headers, answer.body)
            found += ["no JSON"] if value is None else misfits(wanted["shape"], value)
        if "bytes" in wanted and len(answer.body) != wanted["bytes"]:
            found.append(f"{len(answer.body)} bytes for {wanted['bytes']}")
        return found
