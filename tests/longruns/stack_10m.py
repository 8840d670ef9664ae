#!/usr/bin/python3
"""10 million connections stack to stack: memory does not grow, and after 2MSL all is given back."""
import sys
import tempfile
import time

from harness import Namespace, Stage
from longrun import Checks
from proof import ProofCable, frames

SEGMENTS = 7
MILLION = 1000000
TIME_WAIT = "1s"
REUSE_AFTER = "2s"  # its default is made for the kernel's TIME_WAIT: 4-tuples would run out
GIVEN_BACK = ("live_records", "half_open_records", "time_wait_records", "index_entries", "timers_armed",
              "buffer_bytes")
GROWTH_MAX_KIB = 2048  # the allocator's own; a leak of one byte a connection would be 8800


def watch(programs, run, total):
    """Samples both programs' memory (KiB) each million connections, by the interface's counters."""
    samples, start, begin = {}, frames(), time.monotonic()
    while not run.ended:
        done = (frames() - start) // SEGMENTS
        mark = done // MILLION
        if mark and mark not in samples:
            samples[mark] = [program.memory_kib() for program in programs]
            print(f"         {mark} M after {time.monotonic() - begin:.0f} s: server "
                  f"{samples[mark][0]} KiB, client {samples[mark][1]} KiB", flush=True)
        if done >= total:
            break
        time.sleep(0.2)
    return samples


def churn(checks, stage, total):
    cable = ProofCable(stage, kernel_here=False)
    options = ("--time-wait", TIME_WAIT, "--linger-time-wait")
    server = cable.serve(*options, "--cpus", "1", release=True)
    run = cable.start_load_here(server, *options, "--count", str(total), "--cpus", "0", "--in-flight",
                                "64", "--duration", "0", "--reuse-after", REUSE_AFTER, release=True)
    samples = watch((server, run), run, total)
    result = run.finish(seconds=120)
    served = server.stop()
    checks.that((result["completed"], result["failed"]) == (total, 0),
                f"{result['completed']} connections, {result['failed']} failed, "
                f"{result['completed_per_sec']:.0f}/s")
    first, last = samples[min(samples)], samples[max(samples)]
    for who, before, after in zip(("server", "client"), first, last):
        checks.that(after - before <= GROWTH_MAX_KIB,
                    f"{who}: {before} KiB at {min(samples)} M, {after} KiB at {max(samples)} M")
    for who, report in (("server", served), ("client", result)):
        held = report["counters"]["stack_memory"]
        left = {name: held[name] for name in GIVEN_BACK if held[name]}
        abandoned = report["counters"]["stack_run"]["time_wait_abandoned"]
        checks.that(not left and not abandoned, f"{who}: left after 2MSL: {left or 'nothing'}, abandoned: "
                                                f"{abandoned}; kept for reuse: {held['memory_bytes']} B")


def main(names):
    checks = Checks()
    total = int(names[0]) if names else 10 * MILLION
    with Namespace(), tempfile.TemporaryDirectory() as folder:
        stage = Stage(folder)
        try:
            churn(checks, stage, total)
        finally:
            stage.close()
    return checks.exit_code()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
