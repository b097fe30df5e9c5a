"""A real HTTP server over sockets whose behaviour a test writes down, one thread a connection. Knows no model."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from absa_server.benchmark.texts import Target

# Told how many requests came so far (this one included) and given the connection; answers, or does not.
Behaviour = Callable[[int, socket.socket], None]


def answer(connection: socket.socket, status: str = "200 OK", *, headers: str = "") -> None:
    """One whole answer."""
    connection.sendall(f"HTTP/1.1 {status}\r\nContent-Length: 2\r\n{headers}\r\n{{}}".encode())


@contextmanager
def serving(behave: Behaviour) -> Iterator[Target]:
    """The target of a server that calls `behave` for each request, while the block runs."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    lock, count = threading.Lock(), 0
    connections: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def talk(connection: socket.socket) -> None:
        nonlocal count
        with suppress(OSError), connection:
            while _read_request(connection):
                with lock:
                    count += 1
                    number = count
                behave(number, connection)

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                connections.append(connection)
                threads.append(threading.Thread(target=talk, args=(connection,), daemon=True))
                threads[-1].start()

    acceptor = threading.Thread(target=accept, daemon=True)
    acceptor.start()
    try:
        yield Target("127.0.0.1", listener.getsockname()[1], "/invocations")
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        acceptor.join(10)
        for connection in connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(10)


def _read_request(connection: socket.socket) -> bool:
    received = b""
    while b"\r\n\r\n" not in received:
        if not (part := connection.recv(65536)):
            return False
        received += part
    head, _, body = received.partition(b"\r\n\r\n")
    length = next(int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
    while len(body) < length:
        body += connection.recv(65536)
    return True
