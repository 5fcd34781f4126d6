#!/usr/bin/python3
"""The scheduled job's script runs a suite on a daemon and keeps what it measured.

usage: run_suite_test.py BINARIES
"""

import json
import pathlib
import subprocess
import sys
import tempfile

from deploy_test import ROOT, Daemon, clean_environment

SCRIPT = ROOT / "deploy/ci/run-suite"


def run_script(binaries, results, target):
    environment = clean_environment(QTIPD_TARGET=target, QTIPD_SIZE="256", QTIPD_RESULTS=str(results),
                                    QTIPD_TIMEOUT="3s",
                                    QTIPCTL=str(pathlib.Path(binaries) / "qtipctl"))
    return subprocess.run([SCRIPT], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, check=False)


def main():
    binaries = sys.argv[1]
    with tempfile.TemporaryDirectory(prefix="qtipd-suite-") as folder:
        results = pathlib.Path(folder) / "results"
        with Daemon(binaries) as daemon:
            done = run_script(binaries, results, daemon.grpc)
            gone = daemon.grpc
        assert done.returncode == 0, done.stderr
        kept = pathlib.Path(done.stdout.strip())
        assert kept.parent == results, kept
        assert json.loads((kept / "info.json").read_text())["devices"], "the machine is not described"
        files = {path.name: path for path in kept.rglob("*.csv")}
        assert "quant_timings.csv" in files, sorted(kept.rglob("*"))
        rows = files["quant_timings.csv"].read_text().splitlines()
        assert len(rows) > 1, rows
        # No daemon: an error that the scheduler sees, not an empty result.
        assert run_script(binaries, results, gone).returncode == 2


if __name__ == "__main__":
    main()
