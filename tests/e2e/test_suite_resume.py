"""A suite that is cut off: what it measured is kept, and another command goes on."""

import csv
import json
import os
import pty
import signal
import subprocess

from harness import BIN, Daemon, DaemonTest

# Eight cases of a second or less.
CASES = 8
SUITE = ("suite", "run", "fdk", "--size", "128", "--set", "batch=1", "--set", "bits=1,2,3,4",
         "--set", "block_size=32,64")


class Resume(DaemonTest):
    def start(self, out, *flags):
        """The suite with its stderr on a terminal, and what is drawn until a case is finished."""
        terminal, stderr = pty.openpty()
        client = subprocess.Popen(
            [BIN / "qtipctl", "--target", self.daemon.target, *SUITE, "--out", out, *flags],
            stdout=subprocess.PIPE, stderr=stderr, text=True)
        os.close(stderr)
        drawn = b""
        while b" uniform batch 1\r\n" not in drawn:
            drawn += os.read(terminal, 4096)
        return client, terminal, drawn.decode()

    def end(self, client, terminal, with_signal):
        """Ends the client, and returns what it printed and what it drew after the first case."""
        client.send_signal(with_signal)
        drawn = b""
        try:
            while data := os.read(terminal, 4096):
                drawn += data
        except OSError:  # the other side is closed
            pass
        os.close(terminal)
        out, _ = client.communicate(timeout=60)
        return out, drawn.decode()

    def record(self, out):
        path, = out.glob("*/fdk/runs.json")
        return json.loads(path.read_text())

    def runs(self, out):
        return [run["id"] for run in self.record(out)["runs"]]

    def report(self, out):
        path, = out.glob("*/fdk/report.md")
        return path.read_text()

    def rows(self, out):
        path, = out.glob("*/fdk/cases.csv")
        return list(csv.DictReader(path.read_text().splitlines()))

    def check_whole(self, out, begin):
        """Goes on from the runs `begin` to the end."""
        result = self.ctl(*SUITE, "--out", out, "--resume")
        self.assertEqual((result.code, result.err), (0, ""))
        record = self.record(out)
        self.assertEqual((record["partial"], record["finished"]), (False, CASES))
        runs = self.runs(out)
        self.assertEqual(runs[:len(begin)], begin)
        self.assertEqual(len(set(runs)), CASES)
        self.assertTrue(all(float(row["fused_seconds"]) > 0 for row in self.rows(out)))
        self.assertNotIn("Partial", self.report(out) + result.out)
        # Once more there is nothing left to measure.
        self.assertEqual(self.ctl(*SUITE, "--out", out, "--resume").code, 0)
        self.assertEqual(self.runs(out), runs)

    def check_interrupted(self, name, with_signal):
        out = self.scratch / name
        client, terminal, begin = self.start(out)
        self.assertIn("1/8 128x128 lut bits=1 block_size=32 uniform batch 1\r\n", begin)
        printed, drawn = self.end(client, terminal, with_signal)
        self.assertEqual(client.returncode, 2)
        self.assertIn("error: INTERRUPTED_BY_USER: ", drawn)
        record = self.record(out)
        self.assertTrue(record["partial"])
        self.assertEqual(record["total"], CASES)
        self.assertTrue(1 <= record["finished"] < CASES, record["finished"])
        self.assertEqual(record["endedBy"]["details"][0]["reason"], "INTERRUPTED_BY_USER")
        sentence = f"Partial: {record['finished']} of 8 cases were finished, until INTERRUPTED_BY_USER"
        self.assertTrue(self.report(out).startswith(sentence), self.report(out))
        self.assertIn(sentence, printed)
        rows = self.rows(out)
        self.assertGreater(float(rows[0]["fused_seconds"]), 0)
        self.assertEqual((len(rows), rows[-1]["fused_seconds"]), (CASES, ""))
        self.check_whole(out, self.runs(out))

    def test_an_interrupt_keeps_what_was_measured(self):
        self.check_interrupted("interrupted", signal.SIGINT)

    def test_so_does_the_signal_of_a_scheduler(self):
        self.check_interrupted("terminated", signal.SIGTERM)

    def test_a_kill_keeps_what_was_finished(self):
        out = self.scratch / "killed"
        client, terminal, _ = self.start(out)
        self.end(client, terminal, signal.SIGKILL)
        record = self.record(out)
        self.assertTrue(record["partial"])
        self.assertGreaterEqual(record["finished"], 1)
        self.assertNotIn("endedBy", record)
        self.assertIn("cases were finished when this was written. ", self.report(out))
        self.check_whole(out, self.runs(out))

    def test_a_daemon_that_ends_leaves_what_was_measured(self):
        out = self.scratch / "stopped"
        client, terminal, _ = self.start(out)
        self.daemon.process.send_signal(signal.SIGTERM)
        self.end(client, terminal, 0)
        self.restart()
        self.assertEqual(client.returncode, 2)
        self.assertTrue(self.record(out)["partial"])
        self.check_whole(out, self.runs(out))

    def restart(self):
        self.daemon.stop()
        type(self).daemon = Daemon(self.scratch / "data")

    def test_goes_on_only_with_the_same_measurement(self):
        out = self.scratch / "other"
        client, terminal, _ = self.start(out)
        self.end(client, terminal, signal.SIGKILL)
        begin = self.runs(out)
        resume = (*SUITE, "--out", out, "--resume")
        self.refused("SUITE_NOT_RESUMABLE", *resume, "--repeats", "2", allowed="repeats of runs.json")
        self.refused("SUITE_NOT_RESUMABLE", *resume, "--set", "batch=2", allowed="batches of '128x128")
        self.refused("SUITE_NOT_RESUMABLE", *resume, "--exclude", "bits=1", allowed="case of runs.json")
        self.refused("USAGE", "suite", "run", "distortion", "--resume", allowed="no such flag")
        self.assertEqual(self.runs(out), begin)


class Tables(DaemonTest):
    """Suites of the other kinds: they cannot go on, but they keep what they have."""

    def test_a_distortion_table_keeps_its_cells(self):
        terminal, stderr = pty.openpty()
        client = subprocess.Popen(
            [BIN / "qtipctl", "--target", self.daemon.target, "suite", "run", "distortion", "--size",
             "64", "--only", "bits=4", "--out", self.scratch / "table"],
            stdout=subprocess.PIPE, stderr=stderr, text=True)
        os.close(stderr)
        drawn = b""
        while b"\x1b[K1/" not in drawn:
            drawn += os.read(terminal, 4096)
        client.send_signal(signal.SIGINT)
        printed, _ = client.communicate(timeout=60)
        os.close(terminal)
        self.assertEqual(client.returncode, 2)
        self.assertIn(" cells were finished, until INTERRUPTED_BY_USER", printed)
        path, = (self.scratch / "table").glob("*/distortion.csv")
        rows = list(csv.DictReader(path.read_text().splitlines()))
        self.assertGreater(float(rows[0]["relative_mse"]), 0)
        self.assertEqual(rows[-1]["verdict"], "not measured")
