"""Starting, stopping, crashing, cancelling, and what /metrics says."""

import os
import pty
import re
import shutil
import signal
import subprocess
import time
import unittest
import urllib.request

from harness import BIN, Daemon, DaemonTest, qtipctl

# Takes minutes on any CPU, so that there is time to interrupt it.
LONG = ("quantize", "--name", "long", "--bits", "4", "--random", "4096x4096")


class Lifecycle(DaemonTest):
    def restart(self, with_signal):
        code = self.daemon.stop(with_signal)
        type(self).daemon = Daemon(self.scratch / "data")
        return code

    def test_1_ends_cleanly_on_sigterm_and_keeps_what_it_had(self):
        made = self.done("quantize", "--name", "w", "--bits", "2", "--random", "64x64")
        run = self.done("bench", "--artifact", "w", "--path", "fused", "--samples", "5")
        self.assertEqual(self.restart(signal.SIGTERM), 0)
        kept = self.done("artifacts", "show", "w")
        self.assertEqual(kept["sha256"], made["sha256"])
        self.assertEqual(kept["quality"], made["quality"])
        self.assertEqual(self.done("runs", "show", run["id"])["results"], run["results"])
        self.done("bench", "--artifact", "w", "--path", "fused", "--samples", "5")

    def test_2_loses_nothing_reported_complete_when_killed(self):
        made = self.done("quantize", "--name", "k", "--bits", "3", "--random", "64x64")
        self.restart(signal.SIGKILL)
        self.assertEqual(self.done("artifacts", "show", "k")["sha256"], made["sha256"])
        self.done("export", "k", self.scratch / "k.safetensors", "--as", "dense")

    def test_3_marks_work_that_a_kill_cut_off(self):
        client = subprocess.Popen([BIN / "qtipctl", "--target", self.daemon.target, *LONG],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        Jobs.wait_for_state(self, "RUNNING")
        self.daemon.stop(signal.SIGKILL)
        client.terminate()
        client.communicate()
        type(self).daemon = Daemon(self.scratch / "data")
        job = self.done("jobs", "list")["jobs"][0]
        self.assertEqual((job["target"], job["state"]), ("long", "INTERRUPTED"))
        self.refused("ARTIFACT_NOT_FOUND", "artifacts", "show", "long")

    def test_4_ends_cleanly_while_it_works(self):
        client = subprocess.Popen([BIN / "qtipctl", "--target", self.daemon.target, *LONG],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        Jobs.wait_for_state(self, "RUNNING")
        begin = time.monotonic()
        self.assertEqual(self.daemon.stop(signal.SIGTERM), 0)
        self.assertLess(time.monotonic() - begin, 20)
        type(self).daemon = Daemon(self.scratch / "data")
        # Without the daemon the client learns of the end, or gives up being interrupted.
        client.send_signal(signal.SIGINT)
        client.communicate()
        self.assertEqual(client.returncode, 2)


class Jobs(DaemonTest):
    def wait_for_state(self, state):
        """The newest job, once it is in `state`."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            jobs = self.done("jobs", "list")["jobs"]
            if jobs and jobs[0]["state"] == state:
                return jobs[0]
        self.fail(f"no job became {state}: {jobs}")

    def start_long(self, **options):
        return subprocess.Popen([BIN / "qtipctl", "--target", self.daemon.target, *LONG],
                                stdout=subprocess.PIPE, text=True, **options)

    def test_cancels_a_job_and_keeps_the_daemon(self):
        client = self.start_long(stderr=subprocess.PIPE)
        job = self.wait_for_state("RUNNING")
        self.done("jobs", "cancel", job["id"])
        _, err = client.communicate(timeout=60)
        self.assertEqual(client.returncode, 2)
        self.assertTrue(err.startswith("error: CANCELLED: "), err)
        self.assertEqual(self.wait_for_state("CANCELLED")["id"], job["id"])
        self.refused("ARTIFACT_NOT_FOUND", "artifacts", "show", "long")
        self.refused("CANCELLED", "jobs", "watch", job["id"])
        self.done("quantize", "--name", "after", "--bits", "2", "--random", "32x32")

    def test_ctrl_c_cancels_on_the_server(self):
        client = self.start_long(stderr=subprocess.PIPE)
        job = self.wait_for_state("RUNNING")
        client.send_signal(signal.SIGINT)
        _, err = client.communicate(timeout=60)
        self.assertEqual(client.returncode, 2)
        self.assertTrue(err.startswith("error: INTERRUPTED_BY_USER: "), err)
        self.assertEqual(self.wait_for_state("CANCELLED")["id"], job["id"])

    def test_a_timeout_leaves_the_job_running(self):
        result = self.ctl("--timeout", "3s", *LONG)
        self.assertEqual((result.code, result.reason), (2, "OPERATION_TIMEOUT"))
        job = self.wait_for_state("RUNNING")
        self.done("jobs", "cancel", job["id"])
        self.wait_for_state("CANCELLED")

    def test_watching_a_finished_job_prints_what_it_made(self):
        self.done("quantize", "--name", "seen", "--bits", "2", "--random", "32x32")
        job = self.done("jobs", "list")["jobs"][0]
        self.assertEqual(self.done("jobs", "watch", job["id"])["name"], "seen")
        self.assertEqual(self.done("jobs", "watch", "operations/" + job["id"])["name"], "seen")

    def test_progress_is_drawn_on_a_terminal_only(self):
        terminal, stderr = pty.openpty()
        client = self.start_long(stderr=stderr)
        os.close(stderr)
        drawn = b""
        while b"%" not in drawn:
            drawn += os.read(terminal, 4096)
        client.send_signal(signal.SIGINT)
        client.communicate(timeout=60)
        os.close(terminal)
        self.assertRegex(drawn.decode(), r"quantize long  \[[#-]+\] +\d+ %")
        self.wait_for_state("CANCELLED")


class Metrics(DaemonTest):
    def scrape(self):
        with urllib.request.urlopen(f"http://{self.daemon.http}/metrics", timeout=10) as page:
            return page.read().decode()

    def setUp(self):
        self.ctl("quantize", "--name", "m", "--bits", "2", "--random", "32x32", "--if-absent")
        self.ctl("bench", "--artifact", "m", "--samples", "5")

    def test_promtool_has_nothing_to_say(self):
        promtool = shutil.which("promtool")
        if promtool is None:
            self.skipTest("promtool is not installed (package prometheus)")
        done = subprocess.run([promtool, "check", "metrics"], input=self.scrape(),
                              capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))

    def test_every_series_is_ours_and_they_are_few(self):
        series = [line for line in self.scrape().splitlines() if not line.startswith("#")]
        self.assertGreater(len(series), 10)
        self.assertLess(len(series), 2000)
        for line in series:
            self.assertRegex(line, r"^(qtipd|process|grpc_server)_[a-z0-9_]+(\{.*\})? \S+$")
        self.assertTrue(any(re.match(r"qtipd_.*path=\"fused\"", line) for line in series))


if __name__ == "__main__":
    unittest.main()
