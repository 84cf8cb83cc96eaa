"""A file system of one's own: small enough to fill, and one whose power can be cut. Needs the right to mount."""
import fcntl
import os
import pathlib
import shutil
import struct
import subprocess
import time

LOOK_SECONDS = 1  # a server looks at the free room a few times a second
EXT4_IOC_SHUTDOWN = 0x8004587D
GOING_NOLOGFLUSH = 2  # as when the power goes: what was not synced is lost


class CannotMount(Exception):
    pass


def run(*command):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        raise CannotMount(f"{' '.join(map(str, command))}: {done.stderr.strip()}")


class SmallDisk:
    """ext4 in a sparse image, mounted over a loop device."""

    def __init__(self, directory, size_bytes):
        self.image = pathlib.Path(directory) / "disk.img"
        self.path = pathlib.Path(directory) / "disk"
        self.path.mkdir()
        with open(self.image, "wb") as image:
            image.truncate(size_bytes)
        try:
            run("mkfs.ext4", "-q", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0", self.image)
        except FileNotFoundError as error:
            raise CannotMount(str(error)) from None
        self.is_mounted = False
        self.mount()

    def mount(self):
        run("mount", "-o", "loop", self.image, self.path)
        self.is_mounted = True

    def unmount(self):
        """Nobody may have a file of it open."""
        run("umount", self.path)
        self.is_mounted = False

    def close(self):
        if self.is_mounted:
            subprocess.run(["umount", "--lazy", self.path], stdin=subprocess.DEVNULL, capture_output=True)
            self.is_mounted = False
        self.image.unlink(missing_ok=True)

    # ---- filling

    def free_bytes(self):
        return shutil.disk_usage(self.path).free

    def fill(self, leave_bytes):
        """Takes all room but so much; `empty` gives it back."""
        with open(self.path / "filler", "wb") as filler:
            for _ in range(20):  # the file system takes some for itself as the file grows
                surplus = self.free_bytes() - leave_bytes
                if surplus <= 0:
                    break
                try:
                    os.posix_fallocate(filler.fileno(), filler.seek(0, os.SEEK_END), max(surplus * 9 // 10, min(surplus, 1 << 16)))
                except OSError:
                    break
        time.sleep(LOOK_SECONDS)

    def empty(self):
        (self.path / "filler").unlink(missing_ok=True)
        time.sleep(LOOK_SECONDS)

    # ---- losing power

    def cut_power(self):
        """From now on nothing reaches the disk and every write fails; `restore_power` shows what had reached it."""
        directory = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.ioctl(directory, EXT4_IOC_SHUTDOWN, struct.pack("I", GOING_NOLOGFLUSH))
        except OSError as error:
            raise CannotMount(f"power cuts cannot be simulated: {error}") from None
        finally:
            os.close(directory)

    def restore_power(self):
        self.unmount()
        self.mount()
