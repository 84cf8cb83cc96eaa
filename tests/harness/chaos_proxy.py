"""A TCP proxy between the nodes of a cluster that can cut, delay and mend each direction between each pair.

Every node tells the others the address of its proxy. Who calls is known by the process that owns the other end of the connection. A cut link is a black
hole: connections stay open and nothing passes, as when a cable is pulled. Delays are drawn anew for each piece and each connection, so that what two connections
carry is reordered; a piece that is lost ends its connection, which is what TCP makes of loss that lasts."""
import asyncio
import os
import random
import socket
import threading
import time

CHUNK_BYTES = 64 << 10
PATIENCE = 3


def socket_inode(port):
    """The inode of the IPv4 socket on this machine whose own port is `port` and that is connected."""
    with open("/proc/net/tcp") as table:
        next(table)
        for line in table:
            fields = line.split()
            if int(fields[1].split(":")[1], 16) == port and fields[3] == "01":
                return fields[9]
    return None


def owns_socket(pid, inode):
    try:
        for fd in os.scandir(f"/proc/{pid}/fd"):
            try:
                if os.readlink(fd.path) == f"socket:[{inode}]":
                    return True
            except OSError:
                pass
    except OSError:
        pass
    return False


class ChaosProxy:
    def __init__(self):
        self.pids = {}      # name of a node -> its process
        self.cuts = set()   # (from, to)
        self.delay_seconds = 0.0
        self.jitter_seconds = 0.0
        self.loss = 0.0     # of pieces
        self.slow = {}      # name -> seconds for each piece from or to it
        self.chance = random.Random(0)
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    def add(self, name, port):
        """A proxy in front of `name`, whose real port is `port`; its own port."""
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        asyncio.run_coroutine_threadsafe(
            asyncio.start_server(lambda reader, writer: self.serve(name, port, reader, writer), sock=listener), self.loop).result(60)
        return listener.getsockname()[1]

    def close(self):
        def end():
            for task in asyncio.all_tasks(self.loop):
                task.cancel()
            self.loop.call_later(0.05, self.loop.stop)
        self.loop.call_soon_threadsafe(end)
        self.thread.join(10)

    # ---- faults

    def cut(self, source, target):
        self.cuts.add((source, target))

    def isolate(self, name):
        for other in list(self.pids):
            if other != name:
                self.cuts |= {(name, other), (other, name)}

    def mend(self):
        self.cuts.clear()
        self.slow.clear()
        self.delay_seconds = self.jitter_seconds = self.loss = 0.0

    # ---- traffic

    def caller(self, port):
        for _ in range(3):  # the table changes while it is read, and a line may be missed
            inode = socket_inode(port)
            for name, pid in list(self.pids.items()):  # another thread adds nodes
                if inode and owns_socket(pid, inode):
                    return name
        return None

    async def serve(self, target, port, reader, writer):
        try:
            source = self.caller(writer.get_extra_info("peername")[1])
            while (source, target) in self.cuts:
                await asyncio.sleep(0.02)
            other_reader, other_writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            writer.close()
            return
        await asyncio.gather(self.pump(source, target, reader, other_writer), self.pump(target, source, other_reader, writer))

    async def pump(self, source, target, reader, writer):
        try:
            while True:
                data = await reader.read(CHUNK_BYTES)
                wait = self.delay_seconds + self.chance.random() * self.jitter_seconds + self.slow.get(source, 0) + self.slow.get(target, 0)
                if wait:
                    await asyncio.sleep(wait)
                if self.loss and self.chance.random() < self.loss:
                    break
                while (source, target) in self.cuts:
                    await asyncio.sleep(0.02)
                if not data:
                    break
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()


def settled(check, seconds, what, still=3):
    """What `check` gives once it is true and stays the same for `still` seconds."""
    seen, since = None, time.monotonic()

    def is_still():
        nonlocal seen, since
        now = check()
        if now != seen:
            seen, since = now, time.monotonic()
        return now if now and time.monotonic() - since >= still else None
    return eventually(is_still, seconds, what)


def eventually(check, seconds, what):
    """Repeats `check` until it is true; its value. The seconds are those of a machine that does little else: a busy one has more."""
    deadline = time.monotonic() + PATIENCE * seconds
    while True:
        value = check()
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {PATIENCE} x {seconds} s: {what}"
        time.sleep(0.05)
