"""The package list: what is missing is named, and nothing is fetched when nothing is missing."""
import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(name="system")
def fixture_system(tmp_path):
    """A system of which only the package tools are made up; apt-get tells what it was asked."""
    def write(name, text):
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\n{text}\n", encoding="ascii")
        path.chmod(0o755)

    def run(missing, *arguments, has_promtool=True,
            script=ROOT / "tests" / "packages"):
        write("dpkg-query", f'for p in {missing} none; do [ "$4" = "$p" ] && exit 1; done; '
                            'echo installed')
        write("apt-get", f'echo "$@" >> {tmp_path}/asked')
        write("id", "echo 0")
        if has_promtool:
            write("promtool", "exit 0")
        environment = dict(os.environ, PATH=f"{tmp_path}:{os.environ['PATH']}")
        done = subprocess.run([script, *arguments], env=environment, capture_output=True,
                              text=True, timeout=60, check=False)
        asked = tmp_path / "asked"
        return done, asked.read_text(encoding="ascii") if asked.exists() else ""
    return run


def test_nothing_is_fetched_when_nothing_is_missing(system):
    for name in ("build", "test"):
        done, asked = system("", name)
        assert (done.returncode, done.stdout, done.stderr, asked) == (0, "", "", "")


def test_missing_packages_are_named_and_installed(system):
    done, asked = system("liburing-dev cmake", "build")
    assert done.returncode == 0, done.stderr
    assert "missing packages: cmake liburing-dev" in done.stderr
    assert asked.splitlines()[-1].endswith("cmake liburing-dev")


def test_no_install_refuses_and_names_the_packages(system):
    done, asked = system("liburing-dev", "--no-install", "test")
    assert (done.returncode, asked) == (1, "")
    assert "apt-get install liburing-dev" in done.stderr


@pytest.mark.skipif(shutil.which("promtool") is not None, reason="Prometheus is installed")
def test_no_install_says_how_to_get_what_is_unpacked(system, tmp_path):
    (tmp_path / "tests").mkdir()
    script = shutil.copy(ROOT / "tests" / "packages", tmp_path / "tests")
    done, asked = system("", "--no-install", "test", has_promtool=False, script=script)
    assert (done.returncode, asked) == (1, "")
    assert "prometheus is missing" in done.stderr
    assert "run: tests/packages test" in done.stderr
    assert system("", "--no-install", "build", script=script)[0].returncode == 0


def test_the_build_set_leaves_out_what_only_tests_need(system):
    assert system("libcmocka-dev", "--no-install", "build")[0].returncode == 0
    assert system("libcmocka-dev", "--no-install", "test")[0].returncode == 1
