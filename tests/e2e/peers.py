"""Servers that are not ours, and that misbehave on demand: a thread per connection."""
import socket
import threading

from harness import reset


class Peer:
    """Listens on a port of its own and gives every connection to a behaviour.

    Each behaviour owns its socket; close() ends the listener and whatever is still open."""

    def __init__(self, behaviour, host="127.0.0.1", backlog=1024):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.listener = socket.create_server((host, 0), family=family, backlog=backlog)
        self.port = self.listener.getsockname()[1]
        self.target = f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"
        self.behaviour = behaviour
        self.lock = threading.Lock()
        self.open = set()
        self.accepted = 0
        self.broken = []
        self.closing = False
        threading.Thread(target=self.accept_all, daemon=True).start()

    def accept_all(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                self.accepted += 1
                self.open.add(sock)
            threading.Thread(target=self.serve, args=(sock,), daemon=True).start()

    def serve(self, sock):
        try:
            self.behaviour(sock)
        except OSError:
            pass  # the other side went first; what it makes of that is what tests look at
        except Exception as error:  # pylint: disable=broad-except
            self.broken.append(error)
        finally:
            with self.lock:
                self.open.discard(sock)
            sock.close()

    def close(self):
        # A thread that waits in accept() holds the listener open: shutdown() wakes it up.
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        with self.lock:
            still_open = list(self.open)
        for sock in still_open:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        assert not self.broken, self.broken


def echo(sock):
    """Echoes to the peer's FIN, then closes."""
    while data := sock.recv(1 << 16):
        sock.sendall(data)


def wait_for_end(sock):
    """Discards all to the peer's FIN."""
    while sock.recv(1 << 16):
        pass


def close_at_once(sock):
    """Shuts before a byte was echoed, but takes all, so that the peer sees a FIN and no reset."""
    sock.shutdown(socket.SHUT_WR)
    wait_for_end(sock)


def reset_after_request(sock):
    sock.recv(1 << 16)
    reset(sock)


def corrupt(sock):
    """Echoes with the last bit of the first byte turned."""
    while data := sock.recv(1 << 16):
        sock.sendall(bytes([data[0] ^ 1]) + data[1:])


def surplus(sock):
    """Echoes, and one byte more."""
    data = sock.recv(1 << 16)
    sock.sendall(data + b"!")
    wait_for_end(sock)


def never_answer(sock):
    wait_for_end(sock)


def close_half_way(sock):
    """Echoes half of what came, shuts, and takes the rest."""
    data = sock.recv(1 << 16)
    sock.sendall(data[:len(data) // 2])
    sock.shutdown(socket.SHUT_WR)
    wait_for_end(sock)


class NeverClose:
    """Echoes, and keeps the connection open after the peer's FIN until it is told to let go."""

    def __init__(self):
        self.over = threading.Event()

    def __call__(self, sock):
        echo(sock)
        self.over.wait(60)


class Drip:
    """Echoes every byte in a segment of its own."""

    def __call__(self, sock):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while data := sock.recv(1 << 16):
            for byte in data:
                sock.sendall(bytes([byte]))


class Late:
    """Echoes each request after a pause."""

    def __init__(self, seconds):
        self.seconds = seconds

    def __call__(self, sock):
        pause = threading.Event()
        while data := sock.recv(1 << 16):
            pause.wait(self.seconds)
            sock.sendall(data)


class Respond:
    """Answers one request, up to a blank line, with fixed bytes, then closes."""

    def __init__(self, answer):
        self.answer = answer

    def __call__(self, sock):
        data = b""
        while b"\r\n\r\n" not in data:
            part = sock.recv(1 << 16)
            if not part:
                return
            data += part
        sock.sendall(self.answer)
        sock.shutdown(socket.SHUT_WR)
        wait_for_end(sock)
