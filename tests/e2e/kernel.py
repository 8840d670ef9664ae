"""What the kernel says about the test's network namespace: counters, sockets, sizes."""
import ipaddress
from collections import Counter, namedtuple
from pathlib import Path

from harness import wait_until

NET = Path("/proc/thread-self/net")
STATES = {1: "ESTABLISHED", 2: "SYN_SENT", 3: "SYN_RECV", 4: "FIN_WAIT1", 5: "FIN_WAIT2",
          6: "TIME_WAIT", 7: "CLOSE", 8: "CLOSE_WAIT", 9: "LAST_ACK", 10: "LISTEN", 11: "CLOSING",
          12: "NEW_SYN_RECV"}

Socket = namedtuple("Socket", "local local_port remote remote_port state inode")


def read_counters():
    """Tcp.ActiveOpens, TcpExt.TW and all others as one table."""
    values = {}
    for name in ("snmp", "netstat"):
        lines = (NET / name).read_text(encoding="ascii").splitlines()
        for head, line in zip(lines[::2], lines[1::2]):
            group, names = head.split(":")
            for key, value in zip(names.split(), line.split(":")[1].split()):
                values[f"{group}.{key}"] = int(value)
    return values


class Counters:
    """Counters from here on."""

    def __init__(self):
        self.start = read_counters()

    def delta(self, name):
        return read_counters()[name] - self.start[name]


def read_sockstat():
    """sockstat as {"TCP": {"inuse": 3, ...}, ...}."""
    table = {}
    for line in (NET / "sockstat").read_text(encoding="ascii").splitlines():
        name, rest = line.split(":")
        words = rest.split()
        table[name] = {key: int(value) for key, value in zip(words[::2], words[1::2])}
    return table


def parse_address(text):
    """'0100007F:1F90', as /proc/net/tcp writes an address, as (ip, port)."""
    host, port = text.split(":")
    raw = bytes.fromhex(host)
    words = b"".join(raw[i:i + 4][::-1] for i in range(0, len(raw), 4))
    return str(ipaddress.ip_address(words)), int(port, 16)


def read_sockets(port=None):
    """Every TCP socket of the namespace; with a port, those that have it at either end."""
    found = []
    for name in ("tcp", "tcp6"):
        for line in (NET / name).read_text(encoding="ascii").splitlines()[1:]:
            words = line.split()
            local, local_port = parse_address(words[1])
            remote, remote_port = parse_address(words[2])
            if port in (None, local_port, remote_port):
                found.append(Socket(local, local_port, remote, remote_port,
                                    STATES[int(words[3], 16)], int(words[9])))
    return found


def count_states(port=None):
    return Counter(entry.state for entry in read_sockets(port))


def settle(server_port):
    """Waits until no connection is on its way to its end, so that TIME_WAIT can be counted."""
    moving = {"ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "CLOSE_WAIT",
              "LAST_ACK", "CLOSING"}
    wait_until(lambda: not moving & set(count_states(server_port)), "all connections to settle")


def count_time_wait(server_port):
    """TIME_WAIT by side, told by the local port: (client's, server's)."""
    settle(server_port)
    entries = [entry for entry in read_sockets(server_port) if entry.state == "TIME_WAIT"]
    server = sum(entry.local_port == server_port for entry in entries)
    return len(entries) - server, server
