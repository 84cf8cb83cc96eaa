"""Weights files in small: headers that are true, and as many bytes as they promise."""
import json
import struct

WIDTHS = {"F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I8": 1}


def safetensors(tensors):
    """{name: (dtype, shape)}"""
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for name, (dtype, shape) in tensors.items():
        length = WIDTHS[dtype]
        for size in shape:
            length *= size
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [offset, offset + length]}
        offset += length
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(offset)


def gguf(architecture, tensors, **more):
    """{name: shape}; numbers and texts as metadata."""
    def text(value):
        return struct.pack("<Q", len(value.encode())) + value.encode()

    pairs = {"general.architecture": architecture, **more}
    out = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(pairs))
    for key, value in pairs.items():
        out += text(key)
        if isinstance(value, str):
            out += struct.pack("<I", 8) + text(value)
        elif isinstance(value, list):
            out += struct.pack("<IIQ", 9, 8, len(value)) + b"".join(text(item) for item in value)
        else:
            out += struct.pack("<II", 4, value)
    for name, shape in tensors.items():
        out += text(name) + struct.pack("<I", len(shape)) + b"".join(struct.pack("<Q", size) for size in shape) + struct.pack("<IQ", 0, 0)
    return out + bytes(64)
