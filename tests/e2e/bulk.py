"""Bytes in bulk through an echo server, with a checksum of what went and of what came back."""
import hashlib
import random
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from harness import pattern, receive_all

BLOCK_BYTES = 1 << 20


def blocks(size, seed):
    """Blocks of random bytes, no two alike, that add up to so many bytes."""
    block = bytearray(random.Random(seed).randbytes(BLOCK_BYTES))
    number = 0
    while size > 0:
        block[:8] = number.to_bytes(8, "big")
        number += 1
        yield bytes(block[:min(size, BLOCK_BYTES)])
        size -= BLOCK_BYTES


def send(sock, size, seed, digest):
    for block in blocks(size, seed):
        digest.update(block)
        sock.sendall(block)
    sock.shutdown(socket.SHUT_WR)


def through_echo(sock, size, seed=1):
    """Sends and receives at once, to the server's FIN; returns (bytes that came back, whether the
    checksums are equal, seconds)."""
    went, came, count = hashlib.blake2b(), hashlib.blake2b(), 0
    start = time.monotonic()
    sender = threading.Thread(target=send, args=(sock, size, seed, went))
    sender.start()
    while data := sock.recv(1 << 18):
        came.update(data)
        count += len(data)
    sender.join()
    return count, went.digest() == came.digest(), time.monotonic() - start


def one_short(address, number):
    """One connection with one echo of its own bytes; returns what was wrong, or None."""
    data = pattern(64 + number % 1000, seed=number + 1)
    try:
        with socket.create_connection(address, 60) as sock:
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
            return None if receive_all(sock) == data else "other bytes"
    except OSError as error:
        return repr(error)


def short_connections(address, count, at_once=64):
    """What went wrong in so many short connections, and their seconds in all."""
    start = time.monotonic()
    with ThreadPoolExecutor(at_once) as pool:
        outcomes = pool.map(lambda number: one_short(address, number), range(count))
        return [outcome for outcome in outcomes if outcome], time.monotonic() - start
