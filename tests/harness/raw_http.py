"""A socket and nothing between: for requests that no library would send."""
import socket
import time


def connect(hub, timeout=30):
    return socket.create_connection(("127.0.0.1", hub.port), timeout=timeout)


def read_answer(connection, seconds=30):
    """(status, everything received) until the server closes; status None when it closed without a word."""
    connection.settimeout(seconds)
    data = b""
    try:
        while len(data) < 1 << 20:
            part = connection.recv(65536)
            if not part:
                break
            data += part
            if complete(data):
                break
    except (socket.timeout, ConnectionResetError):
        pass
    status = int(data.split(b" ", 2)[1]) if data.startswith(b"HTTP/1.") else None
    return status, data


def complete(data):
    head, blank, body = data.partition(b"\r\n\r\n")
    if not blank:
        return False
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            return len(body) >= int(line.split(b":")[1])
    return False


def exchange(hub, data, seconds=30):
    with connect(hub) as connection:
        try:
            connection.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass
        return read_answer(connection, seconds)


def is_closed(connection, seconds):
    """Whether the server ends the connection within that time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        connection.settimeout(max(0.01, deadline - time.monotonic()))
        try:
            if not connection.recv(65536):
                return True
        except socket.timeout:
            return False
        except ConnectionResetError:
            return True
    return False
