"""Volume files on disk, looked into and damaged as a bad disk would."""
import pathlib


def volume_files(hub):
    """Oldest first."""
    return sorted((pathlib.Path(hub.data_dir) / "store" / "volumes").iterdir())


def find_bytes(hub, wanted):
    """Every (volume file, offset) at which these bytes stand."""
    found = []
    for path in volume_files(hub):
        data = path.read_bytes()
        at = data.find(wanted)
        while at >= 0:
            found.append((path, at))
            at = data.find(wanted, at + 1)
    return found


def flip_bit(path, offset, bit=3):
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ (1 << bit)]))


def overwrite(path, offset, data):
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(data)


def written_end(path):
    """Where the last byte that is not zero ends: room behind it may be taken in advance."""
    data = path.read_bytes()
    return len(data.rstrip(b"\0"))


def newest_written(hub):
    """(file, end) of the volume that was written last."""
    files = [path for path in volume_files(hub) if written_end(path) > 0]
    path = max(files, key=lambda path: (path.stat().st_mtime_ns, path.name))
    return path, written_end(path)


def disk_usage_bytes(hub):
    return sum(path.stat().st_blocks * 512 for path in volume_files(hub))
