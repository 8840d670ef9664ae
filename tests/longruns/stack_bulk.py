#!/usr/bin/python3
"""Bytes in bulk between the stack and the kernel over veth, with a checksum: 1 GiB, and at 1% and 10% loss."""
import sys
import tempfile

import bulk
import peers
from cable import SERVER
from harness import Namespace, Stage
from longrun import Checks, choose
from proof import KERNEL, ProofCable

MIB = 1 << 20
SHORT = 1000
# name: loss per mille, bytes, offloads
PARTS = {
    "whole": (0, 1024 * MIB, True),
    "whole-no-offloads": (0, 1024 * MIB, False),
    "1-percent": (10, 64 * MIB, False),
    "10-percent": (100, 1 * MIB, False),
}


def say_lost(cable, per_mille):
    lost = cable.lost() if per_mille else (0, 0)
    return f"{lost[1]} + {lost[0]} frames lost (there, back)"


def to_our_server(checks, name, stage):
    per_mille, size, offloads = PARTS[name]
    cable = ProofCable(stage, offloads=offloads)
    server = cable.serve()
    if per_mille:
        cable.lose(per_mille)
    with server.connect(590) as sock:
        count, same, seconds = bulk.through_echo(sock, size)
    checks.that(count == size and same,
                f"{name}: kernel -> stack -> kernel: {count} of {size} bytes, checksum "
                f"{'same' if same else 'differs'}, {seconds:.1f} s, {say_lost(cable, per_mille)}")
    wrong, seconds = bulk.short_connections((SERVER, 7000), SHORT)
    result = server.stop()
    checks.that(not wrong and result["failed"] == 0,
                f"{name}: {SHORT} short connections to the stack, {len(wrong)} wrong {wrong[:3]}, "
                f"{seconds:.1f} s, {result['failed']} failed at the server")


def by_our_client(checks, name, stage):
    per_mille, size, offloads = PARTS[name]
    cable = ProofCable(stage, offloads=offloads)
    peer = stage.also_close(peers.Peer(peers.echo, KERNEL))
    if per_mille:
        cable.lose(per_mille)
    result = cable.load(peer.target, "--count", "1", "--payload", str(MIB), "--echoes", str(size // MIB),
                        "--timeout", "5m", seconds=590)
    seconds = result["latency"]["lifetime"]["from_start"]["p0"] / 1e9
    checks.that((result["completed"], result["failed"]) == (1, 0),
                f"{name}: stack -> kernel -> stack: {size} bytes, each verified by the client, "
                f"{seconds:.1f} s, {say_lost(cable, per_mille)}")
    result = cable.load(peer.target, "--count", str(SHORT), "--in-flight", "64", "--timeout", "2m")
    checks.that((result["completed"], result["failed"]) == (SHORT, 0),
                f"{name}: {SHORT} short connections of the stack's, {result['failed']} failed "
                f"{result['errors']}")


def main(names):
    checks = Checks()
    for name in choose(names, PARTS):
        for show in (to_our_server, by_our_client):
            with Namespace(), tempfile.TemporaryDirectory() as folder:
                stage = Stage(folder)
                try:
                    show(checks, name, stage)
                finally:
                    stage.close()
    return checks.exit_code()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
