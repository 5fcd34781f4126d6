"""Starts real daemons and runs the real qtipctl, for the tests of this folder."""

import array
import contextlib
import json
import os
import pathlib
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import unittest

BIN = pathlib.Path(os.environ["QTIPD_BIN"])
PATIENCE = 60  # seconds for a daemon to say that it is ready, or to end


class Daemon:
    """A qtipd on ports of its own choice, serving the CPU."""

    def __init__(self, data_dir, *flags):
        self.process = subprocess.Popen(
            [BIN / "qtipd", "--listen=127.0.0.1:0", "--http-listen=127.0.0.1:0",
             f"--data-dir={data_dir}", "--device=cpu", *flags],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        line = self.process.stdout.readline()  # "qtipd ready grpc=HOST:PORT http=HOST:PORT ..."
        if not line.startswith("qtipd ready"):
            self.process.wait(PATIENCE)
            raise RuntimeError(f"qtipd did not start: {line!r}, exit code {self.process.returncode}")
        addresses = dict(word.split("=", 1) for word in line.split() if "=" in word)
        self.target, self.http = addresses["grpc"], addresses["http"]

    def peak_memory(self):
        """Most bytes that it had in memory so far, mapped files included."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        peak, = (line for line in status.splitlines() if line.startswith("VmHWM:"))
        return int(peak.split()[1]) * 1024

    def stop(self, with_signal=signal.SIGTERM):
        """Ends the daemon and returns its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(with_signal)
        code = self.process.wait(PATIENCE)
        self.process.stdout.close()
        return code


class Result:
    """What one qtipctl printed."""

    def __init__(self, done):
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr

    @property
    def json(self):
        return json.loads(self.out)

    @property
    def reason(self):
        """REASON of "error: REASON: ..."; the line must be the only one."""
        lines = self.err.splitlines()
        assert len(lines) == 1 and lines[0].startswith("error: "), self.err
        return lines[0].split(": ")[1]


def start_qtipctl(target, *arguments):
    return subprocess.Popen([BIN / "qtipctl", *map(str, arguments)], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True,
                            env={**os.environ, "QTIPCTL_TARGET": target})


def qtipctl(target, *arguments, timeout=100):
    environment = {**os.environ, "QTIPCTL_TARGET": target}
    return Result(subprocess.run([BIN / "qtipctl", *map(str, arguments)], capture_output=True,
                                 text=True, env=environment, timeout=timeout))


class Stalling:
    """A relay to a daemon that swallows what the daemon sends after its first bytes."""

    def __init__(self, target, after):
        self.daemon, self.left = target.rsplit(":", 1), after
        self.has_stalled = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.target = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.sockets, self.threads = [self.listener], []

    def __enter__(self):
        self.start(self.accept)
        return self

    def __exit__(self, *_):
        for one in self.sockets:
            with contextlib.suppress(OSError):  # the other side may have gone
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        for thread in self.threads:
            thread.join()

    def start(self, work, *arguments):
        self.threads.append(threading.Thread(target=work, args=arguments))
        self.threads[-1].start()

    def accept(self):
        with contextlib.suppress(OSError):  # the listener is closed
            while True:
                client, _ = self.listener.accept()
                daemon = socket.create_connection((self.daemon[0], int(self.daemon[1])))
                self.sockets += [client, daemon]
                self.start(self.relay, client, daemon, False)
                self.start(self.relay, daemon, client, True)

    def relay(self, source, sink, is_limited):
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                if is_limited and self.left < len(data):
                    self.left = -1
                    self.has_stalled.set()
                    continue
                self.left -= len(data) if is_limited else 0
                sink.sendall(data)


class DaemonTest(unittest.TestCase):
    """One daemon and one scratch folder for all tests of a class."""

    FLAGS = ()

    @classmethod
    def setUpClass(cls):
        scratch = tempfile.TemporaryDirectory(prefix="qtipd-e2e-")
        cls.addClassCleanup(scratch.cleanup)
        cls.scratch = pathlib.Path(scratch.name)
        cls.flags = [flag.format(scratch=cls.scratch) for flag in cls.FLAGS]
        cls.daemon = Daemon(cls.scratch / "data", *cls.flags)
        cls.addClassCleanup(lambda: cls.daemon.stop())

    def ctl(self, *arguments, **options):
        return qtipctl(self.daemon.target, *arguments, **options)

    def done(self, *arguments):
        """Runs a command that must succeed without a word on stderr; returns its JSON."""
        result = self.ctl("-o", "json", *arguments)
        self.assertEqual((result.code, result.err), (0, ""))
        return result.json

    def refused(self, reason, *arguments, allowed=""):
        """Runs a command that must end in exit code 2 and one line with `reason`."""
        result = self.ctl(*arguments)
        self.assertEqual(result.code, 2, result.err)
        self.assertEqual(result.reason, reason, result.err)
        self.assertEqual(result.out, "")
        self.assertIn(allowed, result.err)


def write_safetensors(path, tensors):
    """`tensors`: name -> (dtype, shape, bytes)."""
    header, data = {}, b""
    for name, (dtype, shape, content) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape,
                        "data_offsets": [len(data), len(data) + len(content)]}
        data += content
    text = json.dumps(header).encode()
    pathlib.Path(path).write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def read_safetensors(path):
    content = pathlib.Path(path).read_bytes()
    length, = struct.unpack("<Q", content[:8])
    header = json.loads(content[8:8 + length])
    data = content[8 + length:]
    return {name: (entry["dtype"], entry["shape"],
                   data[entry["data_offsets"][0]:entry["data_offsets"][1]])
            for name, entry in header.items() if name != "__metadata__"}


def f32(values):
    return array.array("f", values).tobytes()


def matrix(rows, columns, value=None):
    """An F32 tensor of `value`, or of numbers that look random but are always the same."""
    values = []
    state = 1
    for _ in range(rows * columns):
        state = (state * 1103515245 + 12345) % (1 << 31)
        values.append(value if value is not None else state / (1 << 30) - 1)
    return "F32", [rows, columns], f32(values)
