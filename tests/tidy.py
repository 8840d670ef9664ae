#!/usr/bin/python3
"""Checks the rules of layers, lengths, globals and calls that no compiler knows.

Usage: tests/tidy.py [--junitxml FILE] [FILE...]

Without files it reads every .c, .h, .cc and .def file of the work tree that git does not ignore.
Prints "file:line: rule: what is wrong" for each finding and closes with a count. Exit code 1 on
findings.
"""
import argparse
import bisect
import os
import re
import subprocess
import sys
from typing import NamedTuple
from xml.sax.saxutils import quoteattr

# Folder -> level. A folder may include itself and folders of lower levels, never its own level's
# others.
LEVELS = {
    "common/base": 0,
    "common/wire": 1,
    "common/link": 1,
    "common/uring": 1,
    "common/tcpstat": 1,
    "common/report": 1,
    "common/exporter": 2,
    "common/tcp": 2,
    "common/stack": 3,
    "common/transport": 4,
    "common/stat": 5,
    "server": 5,
    "loadgen": 5,
}
# Folders that stand beside the levels, and all that each may include beside itself.
BESIDE = {
    # The lab shows with two hosts of the stack over a link in memory why TIME_WAIT exists.
    "bench/lab": ["common/base", "common/wire", "common/link", "common/tcpstat", "common/report",
                  "common/stack", "bench/program"],
    "bench/program": ["common/base"],
    "bench/micro": [folder for folder, level in LEVELS.items() if level < 5],
    # The floor shares nothing that it measures: of finwait only clock, options and the like.
    "bench/floor": ["common/base"],
    "bench/crowd": ["common/base", "common/tcpstat"],
    # The null stack is what stands below a TCP, and no TCP.
    "bench/null": ["common/base", "common/wire", "common/link", "common/report",
                   "bench/program"],
    # The flood is canned segments, and no TCP.
    "bench/flood": ["common/base", "common/wire", "common/link", "bench/program"],
    "tests": list(LEVELS) + ["bench/lab", "bench/floor", "bench/micro", "bench/null", "bench/flood"],
}
FILE_LINES_MAX = 600
FUNCTION_LINES_MAX = 70
PARAMETERS_MAX = 5
COLUMNS_MAX = 100

# Programs print and exit; libraries return what they have to say.
PROGRAM_FOLDERS = ("server", "loadgen", "common/stat", "bench", "tests")
# Programs that stand in a library's folder.
PROGRAM_FILES = ("common/stack/example.c",)
BANNED_EVERYWHERE = [
    "strcpy", "stpcpy", "strcat", "sprintf", "vsprintf", "gets", "atoi", "atol", "atoll", "atof",
    "strtok", "alloca", "setjmp", "longjmp", "mktemp", "tmpnam", "rand", "srand", "system", "popen",
]
BANNED_IN_LIBRARIES = [
    "printf", "vprintf", "puts", "putchar", "perror", "exit", "_exit", "quick_exit", "abort",
]
# File -> calls of the list above that are its very duty.
PRINTS_BY_DUTY = {"common/base/assert.c": ["abort"]}

# File -> functions whose parameters a library prescribes.
PARAMETERS_PRESCRIBED = {"common/exporter/exporter.c": ["on_request"]}

RULES = [
    "include-layer", "include-guard", "file-length", "function-length", "parameters", "columns",
    "mutable-global", "banned-call", "conditional-in-body", "typedef-struct",
]


class Finding(NamedTuple):
    path: str
    line: int
    rule: str
    text: str


def blank(text):
    """Replaces everything but newlines by spaces."""
    return re.sub(r"[^\n]", " ", text)


TOKEN = re.compile(
    r"""(?P<comment>//[^\n]*|/\*.*?\*/)"""
    r"""|(?P<string>"(?:\\.|[^"\\\n])*")|(?P<char>'(?:\\.|[^'\\\n])*')""", re.S)


def strip_text(source):
    """Blanks comments and empties literals; positions and line numbers stay."""
    def replace(match):
        if match.group("comment"):
            return blank(match.group())
        quote = match.group()[0]
        return quote + " " * (len(match.group()) - 2) + quote
    return TOKEN.sub(replace, source)


DIRECTIVE = re.compile(r"^[ \t]*#(?:[^\n\\]|\\.|\\\n)*", re.M)


class Source:
    """One file: as it is, without comments and literals, and without preprocessor lines too."""

    def __init__(self, path, text):
        self.path = path
        self.text = text
        self.bare = strip_text(text)
        self.directives = [(match.start(), match.group())
                           for match in DIRECTIVE.finditer(self.bare)]
        self.code = DIRECTIVE.sub(lambda match: blank(match.group()), self.bare)
        self.starts = [0] + [match.end() for match in re.finditer("\n", text)]

    def line(self, offset):
        return bisect.bisect_right(self.starts, offset)


class Block(NamedTuple):
    """A part of a file at depth 0: its text with {...} collapsed, and its places."""
    head: str
    start: int
    body_start: int  # of the first '{', -1: none
    end: int


# extern "C" and namespaces do not count as depth.
TRANSPARENT = re.compile(r'\s*(extern\s+"\s*"|(inline\s+)?namespace\b[\w:\s]*)\s*')


def top_level_blocks(code):
    """Splits code into declarations (ended by ';') and definitions with a body (ended by '}')."""
    blocks, head, start, body, depth = [], "", None, -1, 0
    for offset, char in enumerate(code):
        if depth == 0 and start is None:
            if char.isspace() or char in ";}":
                continue
            start = offset
        if char == "{":
            if depth == 0 and TRANSPARENT.fullmatch(head):
                head, start, body = "", None, -1
                continue
            if depth == 0:
                head += "{}"
                body = offset if body < 0 else body
            depth += 1
        elif char == "}":
            depth = max(depth - 1, 0)
            if depth == 0 and start is not None and is_function_head(head):
                blocks.append(Block(head, start, body, offset))
                head, start, body = "", None, -1
        elif depth == 0 and char == ";":
            blocks.append(Block(head, start, body, offset))
            head, start, body = "", None, -1
        elif depth == 0:
            head += char
    return blocks


ATTRIBUTE = re.compile(r"__attribute__\s*\(\((?:[^()]|\([^()]*\))*\)\)")


def is_function_head(head):
    """Tells whether a head that ended in {} is a function's, with (...) last and no '='."""
    plain = ATTRIBUTE.sub("", head).strip()
    is_call_shaped = plain.endswith("{}") and plain[:-2].rstrip().endswith(")")
    return is_call_shaped and "=" not in plain.split("(")[0]


def split_parameters(head):
    """Lists the parameters of a function's head."""
    plain = ATTRIBUTE.sub("", head)
    plain = plain[:plain.rfind("{}")].rstrip() if "{}" in plain else plain.rstrip()
    depth = 0
    for offset in range(len(plain) - 1, -1, -1):
        depth += {")": 1, "(": -1}.get(plain[offset], 0)
        if depth == 0:
            break
    parts, level, current = [], 0, ""
    for char in plain[offset + 1:-1]:
        level += {"(": 1, "[": 1, ")": -1, "]": -1}.get(char, 0)
        if char == "," and level == 0:
            parts.append(current)
            current = ""
        else:
            current += char
    parts.append(current)
    return [part.strip() for part in parts if part.strip() not in ("", "void")]


def folder_of(path):
    """Finds the folder of the tables that a file belongs to, or None."""
    for folder in list(LEVELS) + list(BESIDE):
        if path.startswith(folder + "/"):
            return folder
    return None


def may_include(user, used):
    if user == used:
        return True
    if user in BESIDE:
        return used in BESIDE[user]
    return used in LEVELS and LEVELS[used] < LEVELS[user]


INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(["<])([^">\n]+)[">]', re.M)


def is_skeleton_of(name, user, files):
    """Tells whether a header is what the build makes of the folder's own BPF program."""
    made = re.fullmatch(r"(bpf/\w+)\.skel\.h", name)
    return made is not None and f"{user}/{made.group(1)}.bpf.c" in files


def check_includes(source, files):
    user = folder_of(source.path)
    # Directives in comments are blank in `bare`; the name itself is only in `text`.
    for match in INCLUDE.finditer(source.text):
        if "#" not in source.bare[match.start():match.end()]:
            continue
        name, line = match.group(2), source.line(match.start(1))
        beside = os.path.normpath(os.path.join(os.path.dirname(source.path), name))
        found = next((path for path in (beside, "common/" + name, name, "tests/" + name)
                      if path in files), None)
        if found is None and is_skeleton_of(name, user, files):
            continue
        if found is None:
            if match.group(1) == '"':
                yield Finding(source.path, line, "include-layer", f'"{name}" is no file of ours')
            continue
        used = folder_of(found)
        if user is None or used is None:
            stray = source.path if user is None else found
            yield Finding(source.path, line, "include-layer",
                          f"{stray} is in no layer of tests/tidy.py's table")
        elif not may_include(user, used):
            yield Finding(source.path, line, "include-layer",
                          f"{user} may not include {used} ({name})")


def check_guard(source, _):
    if not source.path.endswith(".h"):
        return
    path = re.sub(r"^common/", "", source.path)
    guard = "FINWAIT_" + re.sub(r"[^A-Z0-9]", "_", path.upper())
    directives = [" ".join(text.split()) for _, text in source.directives]
    if directives[:2] != [f"#ifndef {guard}", f"#define {guard}"] or directives[-1:] != ["#endif"]:
        line = source.line(source.directives[0][0]) if source.directives else 1
        yield Finding(source.path, line, "include-guard", f"the include guard must be {guard}")


def check_file_length(source, _):
    count = len(source.text.splitlines())
    if count > FILE_LINES_MAX:
        yield Finding(source.path, count, "file-length",
                      f"{count} lines, at most {FILE_LINES_MAX}")


def check_columns(source, _):
    for number, line in enumerate(source.text.splitlines(), 1):
        if len(line) > COLUMNS_MAX:
            yield Finding(source.path, number, "columns",
                          f"{len(line)} columns, at most {COLUMNS_MAX}")


def function_name(head):
    names = re.findall(r"([\w:]+)\s*\(", ATTRIBUTE.sub("", head))
    return names[0] if names else "?"


def check_functions(source, _):
    for block in top_level_blocks(source.code):
        if not is_function_head(block.head):
            continue
        first, last = source.line(block.start), source.line(block.end)
        name = function_name(block.head)
        if last - first + 1 > FUNCTION_LINES_MAX:
            yield Finding(source.path, first, "function-length",
                          f"{name} has {last - first + 1} lines, at most {FUNCTION_LINES_MAX}")
        count = len(split_parameters(block.head))
        is_prescribed = name in PARAMETERS_PRESCRIBED.get(source.path, [])
        if count > PARAMETERS_MAX and not is_prescribed:
            yield Finding(source.path, first, "parameters",
                          f"{name} has {count} parameters, at most {PARAMETERS_MAX}")
        for offset, text in source.directives:
            if block.body_start < offset < block.end and re.match(r"\s*#\s*(if|else|elif)", text):
                shown = " ".join(text.split())[:40]
                yield Finding(source.path, source.line(offset), "conditional-in-body",
                              f"{name} holds {shown}; choose outside of the body")


TYPE_ALONE = re.compile(
    r"(static )?(const )?(struct|union|enum)( class)?( \w+)?( ?: ?\w+)?( ?\{\})?")


def is_mutable_variable(declaration):
    """Tells whether a declaration's text defines data that may change."""
    text = " ".join(ATTRIBUTE.sub("", declaration).split()).removeprefix("__extension__ ")
    if re.match(r"(typedef|using|template|class|_Static_assert|static_assert)\b", text):
        return False
    if TYPE_ALONE.fullmatch(text):
        return False
    name, assigned, _ = text.partition("=")
    is_function_pointer = re.match(r"[^(]*\(\s*\*", name) is not None
    if "(" in name and not is_function_pointer:
        return False
    if not assigned and not re.match(r"[A-Za-z_][\w\s*\[\](),{}:<>]*$", name):
        return False
    if not is_function_pointer and len(re.findall(r"\w+", name)) < 2:
        return False
    if re.search(r"\bvolatile sig_atomic_t\b", name):
        return False
    if is_function_pointer:
        return re.search(r"\(\s*\*\s*const\b", name) is None
    if "*" in name:
        return re.search(r"\*\s*const\b[^*]*$", name) is None
    return re.search(r"\bconst(expr)?\b", name) is None


LOCAL_STATIC = re.compile(r"(?<![\w])((?:static|_Thread_local|thread_local)\b[^;={]*)")


def check_globals(source, _):
    if source.path.endswith((".bpf.c", ".bpf.h")):
        return  # maps and variables are how a BPF program and its reader talk
    for block in top_level_blocks(source.code):
        if not is_function_head(block.head):
            if is_mutable_variable(block.head):
                yield Finding(source.path, source.line(block.start), "mutable-global",
                              f"file-scope data must be const: {' '.join(block.head.split())[:60]}")
            continue
        for match in LOCAL_STATIC.finditer(source.code, block.body_start, block.end):
            if is_mutable_variable(match.group(1)):
                shown = " ".join(match.group(1).split())[:60]
                yield Finding(source.path, source.line(match.start()), "mutable-global",
                              f"function-static data must be const: {shown}")


STANDARD_STREAM = re.compile(
    r"\bv?fprintf\s*\(\s*(stdout|stderr)\b|\bfputs\s*\([^;]*\b(stdout|stderr)\s*\)")


def check_calls(source, _):
    is_program = source.path in PROGRAM_FILES or source.path.startswith(
        tuple(name + "/" for name in PROGRAM_FOLDERS))
    banned = set(BANNED_EVERYWHERE) | (set() if is_program else set(BANNED_IN_LIBRARIES))
    banned -= set(PRINTS_BY_DUTY.get(source.path, []))
    # Programs leave through main: exit and abort only where main is, _exit in any child.
    is_test = source.path.startswith("tests/")
    if is_program and not is_test and not re.search(r"\bmain\s*\(", source.code):
        banned |= {"exit", "quick_exit", "abort"}
    pattern = re.compile(r"(?<![\w.>])(" + "|".join(sorted(banned)) + r")\s*\(")
    for match in pattern.finditer(source.bare):
        yield Finding(source.path, source.line(match.start()), "banned-call",
                      f"{match.group(1)}() is not for here")
    if not is_program and not PRINTS_BY_DUTY.get(source.path):
        for match in STANDARD_STREAM.finditer(source.bare):
            yield Finding(source.path, source.line(match.start()), "banned-call",
                          "a library never prints")


def check_typedefs(source, _):
    for match in re.finditer(r"\btypedef\s+(struct|union|enum)\b", source.code):
        yield Finding(source.path, source.line(match.start()), "typedef-struct",
                      f"name it {match.group(1)} tag, without a typedef")
    for match in re.finditer(r"\btypedef\b[^;]*?(\w+_t)\s*(\)\s*\([^;]*\))?;", source.code):
        yield Finding(source.path, source.line(match.start()), "typedef-struct",
                      f"{match.group(1)}: names in _t are the C library's")


CHECKS = [
    check_includes, check_guard, check_file_length, check_columns, check_functions, check_globals,
    check_calls, check_typedefs,
]


def check_text(path, text, files):
    """All findings of one file. `files` is the set of paths that includes may name."""
    source = Source(path, text)
    findings = [finding for check in CHECKS for finding in check(source, files)]
    return sorted(findings, key=lambda finding: finding.line)


def list_files(root):
    output = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard",
         "*.c", "*.h", "*.cc", "*.def"],
        cwd=root, check=True, capture_output=True, text=True).stdout
    names = set(output.split("\0")) - {""}
    return sorted(name for name in names if os.path.isfile(os.path.join(root, name)))


def write_junit(path, findings):
    """One test case per rule, so that tests/run can add them up."""
    with open(path, "w", encoding="utf-8") as out:
        broken = {finding.rule for finding in findings}
        out.write(f'<testsuite name="tidy" tests="{len(RULES)}" failures="{len(broken)}">\n')
        for rule in RULES:
            count = sum(finding.rule == rule for finding in findings)
            failure = f'<failure message={quoteattr(f"{count} findings")}/>' if count else ""
            out.write(f'<testcase classname="tidy" name={quoteattr(rule)}>{failure}</testcase>\n')
        out.write("</testsuite>\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--junitxml", metavar="FILE",
                        help="write a JUnit file, one test case per rule")
    parser.add_argument("files", nargs="*", help="paths from the project's root; default: all")
    options = parser.parse_args()
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    known = list_files(root)
    findings = []
    for path in options.files or known:
        with open(os.path.join(root, path), encoding="utf-8") as file:
            findings += check_text(path, file.read(), set(known))
    for finding in findings:
        print(f"{finding.path}:{finding.line}: {finding.rule}: {finding.text}")
    count = len(options.files or known)
    print(f"tidy: {count} files, {len(RULES)} rules, {len(findings)} findings")
    if options.junitxml:
        write_junit(options.junitxml, findings)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
