#!/usr/bin/python3
"""Adds up JUnit files and prints the one line that tests/run closes with.

Usage: tests/totals.py [--failed N] [--skipped N] FILE...

A file that is missing or cannot be read is a failure of its own. Exit code 1 when anything failed or
nothing ran.
"""
import argparse
import sys
import xml.etree.ElementTree as ElementTree


def count_file(path):
    """(passed, failed, skipped) of one JUnit file, and the names of the failures."""
    passed, skipped, failures = 0, 0, []
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        # ctest marks by an attribute what pytest marks by an element; both write the element too.
        if case.find("failure") is not None or case.find("error") is not None:
            failures.append(f"{case.get('classname', '')}.{case.get('name', '')}".strip("."))
        elif case.find("skipped") is not None or case.get("status") in ("notrun", "disabled"):
            skipped += 1
        else:
            passed += 1
    return passed, failures, skipped


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--failed", type=int, default=0, help="failures that no file tells of")
    parser.add_argument("--skipped", type=int, default=0, help="tests skipped that no file tells of")
    parser.add_argument("files", nargs="*", metavar="FILE")
    options = parser.parse_args()
    passed, failed, skipped = 0, options.failed, options.skipped
    for path in options.files:
        try:
            more_passed, failures, more_skipped = count_file(path)
        except (OSError, ElementTree.ParseError) as error:
            print(f"failed: {path} cannot be read: {error}")
            failed += 1
            continue
        for name in failures:
            print(f"failed: {name}")
        passed += more_passed
        failed += len(failures)
        skipped += more_skipped
    print(f"finwait: {passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
