"""Shared by the tests of this folder: skipping with a reason, and a daemon of the build under test."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
SKIPPED = 77  # CTest's SKIP_RETURN_CODE


def skip(reason):
    print(f"skipped: {reason}")
    sys.exit(SKIPPED)


def need(program, package):
    """The path of a program, or the end of the test where it is not installed."""
    path = shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")
    if path is None:
        skip(f"{program} is not installed (package {package})")
    return path


def run(*command, **options):
    """Runs a command; its output, both streams, ends up in the error where it fails."""
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, check=False, **options)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stdout}")
    return done.stdout


class Daemon:
    """A qtipd on loopback, on the CPU, with a directory of its own; ended by pid on leaving."""

    def __init__(self, binaries, environment=None):
        self.qtipctl_path = pathlib.Path(binaries) / "qtipctl"
        self.folder = tempfile.TemporaryDirectory(prefix="qtipd-deploy-")
        self.process = subprocess.Popen(
            [pathlib.Path(binaries) / "qtipd", "--listen=127.0.0.1:0", "--http-listen=127.0.0.1:0",
             f"--data-dir={self.folder.name}/data", "--device=cpu"],
            stdout=subprocess.PIPE, text=True, env=environment)
        line = self.process.stdout.readline()
        ready = re.match(r"qtipd ready grpc=(\S+) http=(\S+)", line)
        if ready is None:
            self.process.wait()
            raise AssertionError(f"qtipd did not start: {line}")
        self.grpc, self.http = ready.groups()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        status = self.process.wait(timeout=60)
        self.process.stdout.close()
        self.folder.cleanup()
        assert status == 0, f"qtipd ended with {status}"

    def qtipctl(self, *arguments):
        return run(self.qtipctl_path, "--target", self.grpc, *arguments)


def clean_environment(**more):
    """Nothing of the caller's but what programs need to start."""
    return {"PATH": "/usr/bin:/bin", "HOME": os.environ.get("HOME", "/"), **more}
