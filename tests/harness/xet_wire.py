"""Xorbs and shards made by hand, so that they can be made wrong. Formats: docs/formats.md."""
import hashlib
import random
import struct

import lz4.frame
from blake3 import blake3

DATA_KEY = bytes.fromhex("6697f5775b9550de3135cbaca597181c9de421109beb2b58b4d0b04b93adf229")
NODE_KEY = bytes.fromhex("017ec5c7a5472996fd946666b48a02e65ddd536f37c76dd2f86352e64a53713f")
VERIFICATION_KEY = bytes.fromhex("7f1857d6ce56ed66127ff913e7a5c3f3a4cd26d5b5db49e64124987f28fb94c3")
FILE_KEY = bytes(32)

NONE, LZ4, BG4_LZ4 = 0, 1, 2
BOOKEND = b"\xff" * 32 + bytes(16)
SHARD_TAG = b"HFRepoMetaData\0" + bytes.fromhex("556967456a7b815783a5bdd95ccdd14aa9")


def keyed(key, data):
    return blake3(data, key=key).digest()


def text(hash):
    """The form in which hashes stand in addresses: four little-endian numbers."""
    return "".join(f"{number:016x}" for number in struct.unpack("<4Q", hash))


def swapped(digest):
    """How a SHA-256 is stored in a shard: so that its text form is the usual digest."""
    return b"".join(digest[i:i + 8][::-1] for i in range(0, 32, 8))


def merkle_root(nodes):
    """Of [(hash, length)]."""
    if not nodes:
        return bytes(32)
    while len(nodes) > 1:
        level, at = [], 0
        while at < len(nodes):
            left = len(nodes) - at
            size = left if left <= 2 else min(9, left)
            if left > 2:
                for i in range(2, min(9, left)):
                    if struct.unpack("<Q", nodes[at + i][0][24:])[0] % 4 == 0:
                        size = i + 1
                        break
            group = nodes[at:at + size]
            joined = "".join(f"{text(hash)} : {length}\n" for hash, length in group).encode()
            level.append((keyed(NODE_KEY, joined), sum(length for _, length in group)))
            at += size
        nodes = level
    return nodes[0][0]


def chunk_bytes(data, scheme=NONE, version=0, raw_length=None, payload=None):
    """One chunk as it stands in a xorb; everything can be lied about."""
    if payload is None:
        if scheme == NONE:
            payload = data
        elif scheme == LZ4:
            payload = lz4.frame.compress(data)
        else:
            payload = lz4.frame.compress(b"".join(data[k::4] for k in range(4)))
    raw_length = len(data) if raw_length is None else raw_length
    return bytes([version]) + len(payload).to_bytes(3, "little") + bytes([scheme]) + raw_length.to_bytes(3, "little") + payload


class Xorb:
    """Chunks of raw bytes, each with its scheme."""

    def __init__(self, chunks, scheme=NONE):
        self.chunks = chunks
        self.hashes = [keyed(DATA_KEY, chunk) for chunk in chunks]
        self.hash = merkle_root([(hash, len(chunk)) for hash, chunk in zip(self.hashes, chunks)])
        self.body = b"".join(chunk_bytes(chunk, scheme) for chunk in chunks)

    def __repr__(self):
        return f"Xorb {text(self.hash)}"

    @property
    def path(self):
        return f"/v1/xorbs/default/{text(self.hash)}"

    @property
    def raw_length(self):
        return sum(map(len, self.chunks))

    def block(self):
        """Its entry in the xorb section of a shard."""
        out = self.hash + struct.pack("<4I", 0, len(self.chunks), self.raw_length, 0)
        at = 0
        for hash, chunk in zip(self.hashes, self.chunks):
            out += hash + struct.pack("<4I", at, len(chunk), 0, 0)
            at += len(chunk)
        return out


class File:
    """[(xorb, first chunk, last chunk + 1)] and what is said about them."""

    def __init__(self, terms, sha256=True):
        self.terms = terms
        chunks = [chunk for xorb, begin, end in terms for chunk in zip(xorb.hashes[begin:end], xorb.chunks[begin:end])]
        self.data = b"".join(data for _, data in chunks)
        root = merkle_root([(hash, len(data)) for hash, data in chunks])
        self.hash = keyed(FILE_KEY, root) if chunks else bytes(32)
        self.sha256 = hashlib.sha256(self.data).digest() if sha256 is True else sha256

    def __repr__(self):
        return f"File {text(self.hash)}"

    @property
    def oid(self):
        return self.sha256.hex()

    def block(self, hash=None, verification=True, unpacked=None, last_chunk=None, verification_hash=None):
        flags = (0x80000000 if verification else 0) | (0x40000000 if self.sha256 else 0)
        out = (hash or self.hash) + struct.pack("<2I8x", flags, len(self.terms))
        for xorb, begin, end in self.terms:
            length = sum(map(len, xorb.chunks[begin:end])) if unpacked is None else unpacked
            out += xorb.hash + struct.pack("<4I", 0, length, begin, end if last_chunk is None else last_chunk)
        if verification:
            for xorb, begin, end in self.terms:
                out += (verification_hash or keyed(VERIFICATION_KEY, b"".join(xorb.hashes[begin:end]))) + bytes(16)
        if self.sha256:
            out += swapped(self.sha256) + bytes(16)
        return out


def shard(files=(), xorbs=()):
    """From blocks (bytes) or objects that have one."""
    def blocks(things):
        return b"".join(thing if isinstance(thing, bytes) else thing.block() for thing in things)
    return SHARD_TAG + struct.pack("<2Q", 2, 0) + blocks(files) + BOOKEND + blocks(xorbs) + BOOKEND


def random_xorb(seed, chunks=3, length=20_000, scheme=NONE):
    source = random.Random(seed)
    return Xorb([source.randbytes(length + i) for i in range(chunks)], scheme)
