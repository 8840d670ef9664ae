"""What is compared with what: named comparisons, each a list of cells, each cell two contenders.

A contender is plain data for compare_trial.py: command lines of a server (or none) and of a client,
and where the client's own figure is. "{json}" and the like in a command are filled in by the trial.
"""
import shutil
from typing import NamedTuple

from compare_stats import NO_TARGET, Target

PORT = 7000
IN_FLIGHT = 32
LAYOUTS = ("apart", "pair")
CLOSES = ("fin", "close", "rst")
SERVER_CLOSES = ("fin", "close")
ENGINES = ("uring", "epoll")
# CPU lists of server and client.
CPUS = {"apart": ("1", "0"), "pair": ("0-1", "0-1")}
# finwait's engine works as the first of them does.
VARIANTS = ("direct,multishot", "direct", "direct,unlinked,skip", "direct,unlinked,ahead",
            "direct,install", "multishot", "poll-first", "own-buffer", "wait", "server-plain")
# ab keeps a record of each request, so that the bound costs memory; no trial reaches it.
AB_REQUESTS_MAX = 2000000


class Contender(NamedTuple):
    label: str
    client: list
    server: list = ()
    claim: str = "json"  # where the client says its rate: json, stdout-json, ab, wrk
    responds: bool = False  # the server answers with a file, the client sends a request of HTTP


class Cell(NamedTuple):
    name: str  # what distinguishes it within its comparison
    a: Contender
    b: Contender
    measure: str = "claim"  # what is compared: the clients' own rates, or the kernel's
    missing: str = ""  # the program that this cell needs and that is not there


class Comparison(NamedTuple):
    name: str
    help: str
    target: Target
    cells: list


def in_flight(layout):
    """Connections in flight of all clients: finwait's option counts them over all workers."""
    return str(IN_FLIGHT * (2 if layout == "pair" else 1))


def floor_contender(label, layout, close, variant=None):
    more = ["--variant", variant] if variant else []
    return Contender(
        label, claim="stdout-json",
        client=["finwait-floor", "--mode", "uring", "--layout", layout, "--close", close,
                "--in-flight", str(IN_FLIGHT), "--port", str(PORT), "--duration", "{seconds}s", *more])


def finwait_server(engine, layout, *more):
    return ["finwait-server", "--engine", engine, "--listen", f"127.0.0.1:{PORT}",
            "--cpus", CPUS[layout][0], "--quiet", "--json", "{server_json}", *more]


def finwait_client(engine, layout, *more):
    return ["finwait-loadgen", "--engine", engine, "--target", f"127.0.0.1:{PORT}",
            "--cpus", CPUS[layout][1], "--in-flight", in_flight(layout), "--duration", "{seconds}s",
            "--sources", "127.0.0.2-127.0.0.250", "--ports", "10000-65000", "--quiet",
            "--json", "{json}", *more]


def finwait_contender(engine, layout, close):
    return Contender(
        f"finwait {engine}", server=finwait_server(engine, layout),
        client=finwait_client(engine, layout, "--echoes", "1", "--payload", "64",
                              "--closer", "client", "--close", close))


def respond_server(engine, close):
    return finwait_server(engine, "apart", "--respond", "{response}", "--closes-after", "1echo",
                          "--close", close)


def finwait_http(engine, close):
    return Contender(
        f"finwait {engine}", server=respond_server(engine, close), responds=True,
        client=finwait_client(engine, "apart", "--send", "{request}", "--expect", "until-close",
                              "--closer", "server", "--close", close))


def on_client_cpu(*command):
    return ["taskset", "-c", CPUS["apart"][1], *command]


def ab_contender(engine, close):
    return Contender(
        "ab", claim="ab", server=respond_server(engine, close), responds=True,
        client=on_client_cpu("ab", "-q", "-r", "-c", str(IN_FLIGHT), "-t", "{whole_seconds}",
                             "-n", str(AB_REQUESTS_MAX), f"http://127.0.0.1:{PORT}/"))


def wrk_contender(engine, close):
    return Contender(
        "wrk", claim="wrk", server=respond_server(engine, close), responds=True,
        client=on_client_cpu("wrk", "-t", "1", "-c", str(IN_FLIGHT), "-d", "{whole_seconds}s",
                             "-H", "Connection: close", f"http://127.0.0.1:{PORT}/"))


def churn_cells(make):
    """One cell for each layout and close."""
    return [Cell(f"{layout} {close}", *make(layout, close)) for layout in LAYOUTS for close in CLOSES]


def tool_cells(tool, make):
    missing = "" if shutil.which(tool) else tool
    return [Cell(f"{engine} {close}", finwait_http(engine, close), make(engine, close), "kernel", missing)
            for engine in ENGINES for close in SERVER_CLOSES]


def comparisons():
    return [
        Comparison(
            "floor", "finwait's io_uring engine against finwait-floor", Target("at-least", 0.95),
            churn_cells(lambda layout, close: (finwait_contender("uring", layout, close),
                                               floor_contender("floor", layout, close)))),
        Comparison(
            "engines", "finwait's io_uring engine against its epoll engine", Target("above", 1.0),
            churn_cells(lambda layout, close: (finwait_contender("uring", layout, close),
                                               finwait_contender("epoll", layout, close)))),
        Comparison(
            "ab", "finwait-loadgen against ab, on the same finwait-server --respond",
            Target("above", 1.0), tool_cells("ab", ab_contender)),
        Comparison(
            "wrk", "finwait-loadgen against wrk, on the same finwait-server --respond",
            Target("above", 1.0), tool_cells("wrk", wrk_contender)),
        Comparison(
            "self", "finwait-floor against itself: whether this machine can tell anything",
            Target("equal", 1.0),
            churn_cells(lambda layout, close: (floor_contender("floor", layout, close),
                                               floor_contender("floor again", layout, close)))),
        Comparison(
            "variants", "finwait-floor with the same calls made in another way", NO_TARGET,
            [Cell(f"{layout} {close} {variant}", floor_contender(variant, layout, close, variant),
                  floor_contender("floor", layout, close))
             for layout in LAYOUTS for close in CLOSES for variant in VARIANTS]),
    ]
