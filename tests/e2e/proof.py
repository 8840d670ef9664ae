"""A cable for proofs: with or without offloads, with losses, and what it carried counted.

Here (veth0) the kernel has an address and runs the peers that are not ours; there (veth1) lives the
stack, on an address that the kernel lacks. Either end may also be the stack.
"""
import ctypes
import re
import socket
import struct
import subprocess
from pathlib import Path

from cable import BITS, CLIENTS, SERVER, Cable

HERE, THERE = "veth0", "veth1"
KERNEL = "10.9.0.10"  # the kernel's address here
OFFLOADS = ("tx", "rx", "sg", "tso", "gso", "gro")
ETH_P_ALL, ETH_P_ARP = 0x0003, 0x0806
SO_ATTACH_FILTER = 26


def command(*words, text=None):
    done = subprocess.run([str(word) for word in words], input=text, capture_output=True, text=True,
                          check=False, timeout=60)
    assert done.returncode == 0, f"{' '.join(str(word) for word in words)}: {done.stderr}"
    return done.stdout


def stack_options(where, address, *more):
    """What puts a program of ours on the stack at one end of the cable."""
    return ["--engine", "stack", "--link", f"packet:{where}", "--address", f"{address}/{BITS}", *more]


class ProofCable(Cable):
    """Lays the cable from the calling thread's namespace, which has to be one of the test's own."""

    def __init__(self, stage, offloads=True, kernel_here=True):
        super().__init__(stage)
        self.set_up(HERE, offloads)
        with self.there():
            self.set_up(THERE, offloads)
        if kernel_here:
            command("ip", "address", "add", f"{KERNEL}/{BITS}", "dev", HERE)

    def set_up(self, link, offloads):
        if not offloads:
            for name in OFFLOADS:
                command("ethtool", "-K", link, name, "off")
        # Without IPv6 nothing but TCP and ARP is on the cable.
        path = Path(f"/proc/sys/net/ipv6/conf/{link}/disable_ipv6")
        if path.exists():
            path.write_text("1\n", encoding="ascii")

    def serve(self, *arguments, address=SERVER, port=7000, more=(), **options):
        """finwait-server on the stack, there."""
        return self.stage.server(*stack_options(THERE, address, *more), *arguments,
                                 listen=(f"{address}:{port}",), netns=self.netns, **options)

    def load(self, target, *arguments, **options):
        """finwait-loadgen on the stack, there."""
        with self.there():
            return self.stage.loadgen(*stack_options(THERE, CLIENTS), *arguments, target=target,
                                      **options)

    def start_load_here(self, server, *arguments, **options):
        """finwait-loadgen on the stack, here."""
        return self.stage.start_loadgen(*stack_options(HERE, CLIENTS), *arguments,
                                        target=server.address, **options)

    def load_here(self, server, *arguments, **options):
        return self.start_load_here(server, *arguments, **options).finish()

    def lose(self, per_mille):
        """Loses so many of a thousand TCP frames, each way, where they come off the cable.

        Not where they go: a kernel is told of what its own interface drops, and then gives half-open
        connections up, whose peers get an RST."""
        lose_incoming(HERE, per_mille)
        with self.there():
            lose_incoming(THERE, per_mille)

    def lost(self):
        """How many frames were lost so far: (on the way here, on the way there)."""
        here = count_dropped("loss")
        with self.there():
            return here, count_dropped("loss")


def drop_incoming(table, link, rule):
    """Drops frames that match as they come off an interface, and counts them. Packet sockets bound to
    IPv4, as the stack's are, get what is left."""
    command("nft", "-f", "-", text=f"""
        table netdev {table} {{
            chain come {{
                type filter hook ingress device {link} priority 0;
                {rule} counter drop;
            }}
        }}""")


def lose_incoming(link, per_mille):
    drop_incoming("loss", link, f"ip protocol tcp numgen random mod 1000 < {per_mille}")


def count_dropped(table):
    words = command("nft", "list", "table", "netdev", table).split()
    return int(words[words.index("packets") + 1])


def frames(link=HERE):
    """Frames that the interface has carried, in both directions, by its own counters."""
    shown = command("ip", "-s", "-j", "link", "show", "dev", link)
    counted = re.findall(r'"packets":\s*(\d+)', shown)
    assert len(counted) == 2, shown
    return sum(int(number) for number in counted)


class ArpCount:
    """Counts the ARP frames on an interface, both ways, from here on."""

    def __init__(self, link=HERE):
        # Only a socket for all protocols sees what leaves too; its filter passes ARP alone.
        load_half, jump_if_equal, give = 0x28, 0x15, 0x06
        code = b"".join(struct.pack("HBBI", *step) for step in (
            (load_half, 0, 0, 12), (jump_if_equal, 0, 1, ETH_P_ARP), (give, 0, 0, 256), (give, 0, 0, 0)))
        steps = ctypes.create_string_buffer(code, len(code))
        self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self.sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER,
                             struct.pack("HP", 4, ctypes.addressof(steps)))
        self.sock.bind((link, ETH_P_ALL))
        self.sock.setblocking(False)

    def read(self):
        """How many there were since the last time."""
        count = 0
        while True:
            try:
                self.sock.recv(256)
            except BlockingIOError:
                return count
            count += 1

    def close(self):
        self.sock.close()
