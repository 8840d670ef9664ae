#!/usr/bin/python3
"""Writes the seed corpora of the fuzz targets from the captured frames and from lists of options.

Usage: tests/fuzz/seeds.py

Every file is named after what it holds; files that are there are written again.
"""
import pathlib
import re

FUZZ = pathlib.Path(__file__).resolve().parent
CAPTURED = FUZZ.parent / "wire" / "captured.h"

MODE_FRAME, MODE_MEND, MODE_VOUCHED = 1, 2, 4

TIMESTAMPS = bytes.fromhex("080a0102030405060708")
OPTIONS = {
    "none": b"",
    "end": b"\0",
    "mss": bytes.fromhex("020405b4"),
    "timestamps-aligned": b"\1\1" + TIMESTAMPS,
    "timestamps-bare": TIMESTAMPS,
    "syn": bytes.fromhex("020405b40402") + TIMESTAMPS + bytes.fromhex("01030307"),
    "syn-without-timestamps": bytes.fromhex("020405b401010402010303ff"),
    "sack-1": b"\1\1" + TIMESTAMPS + bytes.fromhex("0101050a0000000100000002"),
    "sack-3": b"\1\1" + TIMESTAMPS + bytes.fromhex("0101051a") + bytes(range(24)),
    "sack-4": bytes.fromhex("01010522") + bytes(range(32)),
    "sack-twice": bytes.fromhex("0512") + bytes(range(16)) + bytes.fromhex("050a0000000500000006"),
    "sack-then-empty": bytes.fromhex("050a00000005000000060502"),
    "fast-open": bytes.fromhex("220a1122334455667788020405b4"),
    "experimental": bytes.fromhex("fd0cf9891122334455667788fe03010402"),
    "length-0": bytes.fromhex("04026300020405b4"),
    "length-1": bytes.fromhex("04026301020405b4"),
    "length-beyond": bytes.fromhex("040263ff020405b4"),
    "odd-lengths": bytes.fromhex("020305030204070305090402"),
    "behind-the-end": bytes.fromhex("0402000405b40000"),
}

# States as state_fuzz.c's stages number them; a segment is flags, distances of SEQ and ACK, window,
# length, options, two bytes of option values, the last of which is also the time that follows.
STATES = ["listen", "syn-received", "established", "close-wait", "last-ack", "fin-wait-1",
          "fin-wait-2", "closing", "time-wait"]
SEGMENTS = {
    "fin": [(0x11, 0, 0, 8, 0, 0, 1, 20)],
    "rst": [(0x04, 0, 0, 0, 0, 0, 0, 10)],
    "syn": [(0x02, 1, 0, 8, 0, 15, 1, 30), (0x02, 0, 0, 8, 0, 15, 1, 37)],
    "data": [(0x18, 0, 0, 8, 100, 0x18, 1, 20), (0x10, 50, 0, 8, 50, 0x18, 1, 20),
             (0x11, 150, 1, 8, 3, 0, 0, 37)],
    "ack": [(0x10, 0, 1, 8, 0, 0, 0, 30), (0x10, 0, 0, 0, 0, 0, 0, 37)],
}

# Steps as sequence_fuzz.c numbers them. An argument's lowest bit is the side: 1 is the client.
CONNECT, ACCEPT, SEND, RECEIVE, SHUTDOWN, CLOSE, ABORT, CARRY, ADVANCE, POLL = range(10)
LOSE, TWICE, SPOIL = 2, 4, 6
OPEN = [(CONNECT, 0), (CARRY, 1), (CARRY, 0), (CARRY, 1), (ACCEPT, 0), (POLL, 0)]
SEQUENCES = {
    "echo-and-close": OPEN + [(SEND, 9), (CARRY, 1), (RECEIVE, 8), (SEND, 8), (CARRY, 0),
                              (RECEIVE, 9), (CLOSE, 1), (CARRY, 1), (CLOSE, 0), (CARRY, 0),
                              (CARRY, 1), (ADVANCE, 36)],
    "simultaneous-close": OPEN + [(SHUTDOWN, 0), (SHUTDOWN, 1), (CARRY, 0), (CARRY, 1),
                                  (CARRY, 0), (CARRY, 1), (ADVANCE, 37)],
    "abort": OPEN + [(SEND, 0xf9), (CARRY, 1), (ABORT, 0), (CARRY, 0), (POLL, 1), (CLOSE, 1)],
    "loss": OPEN + [(SEND, 0xf9), (CARRY, 1 + LOSE), (ADVANCE, 30), (CARRY, 1), (CARRY, LOSE),
                    (ADVANCE, 31), (CARRY, 1), (CARRY, 0), (RECEIVE, 0xf8), (CLOSE, 1),
                    (CARRY, 1 + LOSE), (ADVANCE, 32), (CARRY, 1), (CLOSE, 0), (CARRY, 0)],
    "repeated-and-spoilt": OPEN + [(SEND, 0x79), (CARRY, 1 + TWICE), (SEND, 0x78),
                                   (CARRY, SPOIL), (ADVANCE, 32), (CARRY, 0), (CARRY, 1)],
    "syn-lost": [(CONNECT, 0), (CARRY, 1 + LOSE), (ADVANCE, 30), (CARRY, 1), (CARRY, LOSE),
                 (ADVANCE, 31), (CARRY, 0), (CARRY, 1), (ADVANCE, 39), (ADVANCE, 39)],
    "nobody-accepts": [(CONNECT, 0), (CARRY, 1), (CARRY, 0), (CARRY, 1), (CLOSE, 1), (CARRY, 1),
                       (ADVANCE, 38), (CARRY, 0)],
}


def captured_frames():
    """Yields name and bytes of each frame."""
    pattern = re.compile(r'#define CAPTURED_(\w+)((?:\s*\\\n\s*"[0-9a-f]*")+)')
    for match in pattern.finditer(CAPTURED.read_text(encoding="utf-8")):
        digits = "".join(re.findall(r'"([0-9a-f]*)"', match.group(2)))
        yield match.group(1).lower().replace("_", "-"), bytes.fromhex(digits)


def write(target, name, content):
    folder = FUZZ / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)


def write_wire():
    for name, frame in captured_frames():
        write("wire", f"{name}-frame", bytes([MODE_FRAME]) + frame)
        if not name.startswith("arp"):
            write("wire", f"{name}-packet", bytes([MODE_MEND]) + frame[14:])
    syn = dict(captured_frames())["syn"]
    write("wire", "syn-vouched", bytes([MODE_VOUCHED]) + syn[14:])


def write_hosts():
    for number, state in enumerate(STATES):
        for name, segments in SEGMENTS.items():
            write("state", f"{state}-{name}", bytes([number]) + b"".join(map(bytes, segments)))
    for name, steps in SEQUENCES.items():
        write("sequence", name, b"".join(map(bytes, steps)))


def main():
    for name, content in OPTIONS.items():
        write("options", name, content)
    write_wire()
    write_hosts()


if __name__ == "__main__":
    main()
