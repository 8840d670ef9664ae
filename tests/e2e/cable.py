"""A cable between two network namespaces: the test's own with veth0, and another with veth1.

The namespaces are held by descriptors alone, so nothing is left of them however a test ends.
Either end of a run may be the stack or the kernel: the client's address is 10.9.0.2 (and on), the
server's 10.9.0.1.
"""
import ctypes
import os
import subprocess
import threading
from contextlib import contextmanager

from harness import CLONE_NEWNET, libc, set_loopback_up

CLIENT, SERVER, BITS = "10.9.0.2", "10.9.0.1", 24
CLIENTS = "10.9.0.2-10.9.0.9"
PORT = 7000
TARGET = f"{SERVER}:{PORT}"


def enter(netns):
    if libc.setns(netns, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def make_namespace():
    """Returns the descriptor of a new network namespace, made by a thread that ends at once."""
    made = []

    def make():
        if libc.unshare(CLONE_NEWNET) != 0:
            made.append(OSError(ctypes.get_errno(), "unshare"))
            return
        set_loopback_up()
        made.append(os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC))

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    if isinstance(made[0], OSError):
        raise made[0]
    return made[0]


def ip(*words):
    subprocess.run(["ip", *words], check=True, timeout=30)


class Cable:
    """The other namespace and the veth pair; closed with the stage."""

    def __init__(self, stage, mtu=1500):
        self.stage = stage
        self.netns = make_namespace()
        stage.also_close(self)
        there = f"/proc/{os.getpid()}/fd/{self.netns}"
        ip("link", "add", "veth0", "mtu", str(mtu), "type", "veth", "peer", "name", "veth1", "mtu",
           str(mtu), "netns", there)
        ip("link", "set", "veth0", "up")
        with self.there():
            ip("link", "set", "veth1", "up")

    @contextmanager
    def there(self):
        """Has this thread be in the other namespace."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        enter(self.netns)
        try:
            yield
        finally:
            enter(home)
            os.close(home)

    def close(self):
        os.close(self.netns)

    def server(self, engine, *arguments, cpus="0", **options):
        """finwait-server at the far end; `engine` is "stack" or one of the kernel's."""
        if engine == "stack":
            return self.stage.server("--link", "packet:veth1", "--address", f"{SERVER}/{BITS}",
                                     "--cpus", cpus, *arguments, engine=engine, listen=(),
                                     netns=self.netns, **options)
        with self.there():
            ip("addr", "add", f"{SERVER}/{BITS}", "dev", "veth1")
        return self.stage.server("--cpus", cpus, *arguments, engine=engine, listen=(TARGET,),
                                 netns=self.netns, **options)

    def start_loadgen(self, engine, *arguments, cpus="0", addresses=CLIENTS, **options):
        """finwait-loadgen at the near end."""
        options.setdefault("target", TARGET)
        if engine == "stack":
            return self.stage.start_loadgen(
                "--link", "packet:veth0", "--address", f"{addresses}/{BITS}", "--cpus", cpus,
                *arguments, engine=engine, **options)
        ip("addr", "add", f"{CLIENT}/{BITS}", "dev", "veth0")
        return self.stage.start_loadgen("--cpus", cpus, *arguments, engine=engine, **options)

    def loadgen(self, engine, *arguments, code=0, seconds=90.0, may_be_late=False, **options):
        run = self.start_loadgen(engine, *arguments, **options)
        return run.finish(code, seconds, may_be_late)
