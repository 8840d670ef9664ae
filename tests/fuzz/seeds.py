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


def main():
    for name, content in OPTIONS.items():
        write("options", name, content)
    write_wire()


if __name__ == "__main__":
    main()
