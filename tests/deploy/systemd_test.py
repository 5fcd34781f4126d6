#!/usr/bin/python3
"""systemd-analyze finds nothing to say about the unit, and a daemon started with the unit's settings
tells its supervisor when it is ready.

usage: systemd_test.py BINARIES
"""

import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile

from deploy_test import ROOT, clean_environment, need, run

UNIT = ROOT / "deploy/systemd/qtipd.service"
# How exposed `systemd-analyze security` may find the unit: 0 is locked up, 10 is wide open.
LARGEST_EXPOSURE = 2.5


def verify(analyze, binaries, folder):
    """The unit as it is, but for where the program lies."""
    text = UNIT.read_text()
    assert "ExecStart=/opt/qtipd/bin/qtipd\n" in text
    # A unit file would need the blanks of a path escaped.
    program_folder = pathlib.Path(folder) / "bin"
    program_folder.symlink_to(pathlib.Path(binaries).resolve())
    unit = pathlib.Path(folder) / "qtipd.service"
    unit.write_text(text.replace("/opt/qtipd/bin", str(program_folder)))
    said = run(analyze, "verify", "--man=no", unit)
    assert "qtipd.service" not in said, said
    return unit


def check_exposure(analyze, unit):
    said = run(analyze, "security", "--offline=true", "--no-pager", unit)
    overall = re.search(r"Overall exposure level for qtipd.service: ([0-9.]+)", said)
    assert overall and float(overall.group(1)) <= LARGEST_EXPOSURE, said
    print(overall.group(0))


def unit_environment(data):
    """The unit's own settings, ports and data directory apart."""
    settings = dict(re.findall(r"^Environment=(QTIPD_\w+)=(.*)$", UNIT.read_text(), re.M))
    assert set(settings) == {"QTIPD_LISTEN", "QTIPD_HTTP_LISTEN", "QTIPD_DATA_DIR", "QTIPD_DEVICE"}, settings
    settings.update(QTIPD_LISTEN="127.0.0.1:0", QTIPD_HTTP_LISTEN="127.0.0.1:0", QTIPD_DATA_DIR=data)
    return settings


def check_notification(binaries, folder):
    """What Type=notify waits for: READY=1 on the socket, and STOPPING=1 on SIGTERM."""
    path = os.path.join(folder, "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.bind(path)
        supervisor.settimeout(30)
        environment = clean_environment(NOTIFY_SOCKET=path, **unit_environment(os.path.join(folder, "data")))
        daemon = subprocess.Popen([pathlib.Path(binaries) / "qtipd"], env=environment,
                                  stdout=subprocess.DEVNULL)
        try:
            ready = supervisor.recv(4096).decode()
            daemon.terminate()
            stopping = supervisor.recv(4096).decode()
            status = daemon.wait(timeout=60)
        finally:
            daemon.kill()
    assert "READY=1" in ready.splitlines(), ready
    assert "STOPPING=1" in stopping.splitlines(), stopping
    assert status == 0, status


def main():
    binaries = sys.argv[1]
    with tempfile.TemporaryDirectory(prefix="qtipd-systemd-") as folder:
        check_notification(binaries, folder)
        analyze = need("systemd-analyze", "systemd")
        unit = verify(analyze, binaries, folder)
        check_exposure(analyze, unit)


if __name__ == "__main__":
    main()
