"""Files to push: every kind of name and size, made from seeds so that a failure can be repeated."""
import hashlib
import pathlib
import random


def random_bytes(seed, length):
    return random.Random(seed).randbytes(length)


def write(directory, files):
    """{relative path: bytes} into a directory."""
    for name, data in files.items():
        path = pathlib.Path(directory) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return pathlib.Path(directory)


def digests(directory):
    """{relative path: SHA-256} of all files below, but for what clients put there for themselves."""
    directory = pathlib.Path(directory)
    return {str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(directory.rglob("*")) if path.is_file() and ".cache" not in path.relative_to(directory).parts}


def digests_of(files):
    return {name: hashlib.sha256(data).hexdigest() for name, data in sorted(files.items())}


def sample_repository(seed):
    """A model repository in small: cards, configs, odd names, empty files, compressible and incompressible weights."""
    return {
        "README.md": b"---\nlicense: mit\ntags:\n- test\n---\n# A model\n",
        "config.json": b'{"architectures": ["Tiny"]}\n',
        "empty.txt": b"",
        "one-byte.bin": b"x",
        "d\u00e9j\u00e0 vu \u2013 \u6587\u4ef6.txt": "na\u00efve\n".encode(),
        "odd/a b&c#d%e?f+g'h.txt": b"odd names\n",
        "deep/er/and/deep/er/still/data.bin": random_bytes(f"{seed} deep", 3000),
        "crlf.txt": b"a\r\nb\r\n",
        "text/large.txt": b"".join(b"line %d of a long text\n" % i for i in range(60000)),
        "model.safetensors": random_bytes(f"{seed} weights", 9_000_001),
        "zeros.bin": bytes(5_000_000),
        "repeated.bin": random_bytes(f"{seed} repeated", 300_000) * 8,
    }
