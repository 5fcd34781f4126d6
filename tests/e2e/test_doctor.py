"""qtipctl doctor against a real daemon, and against targets where none answers."""

import pathlib
import tempfile
import unittest

from harness import Daemon, DaemonTest, qtipctl

SEVERITIES = ["SEVERITY_PROBLEM", "SEVERITY_WARNING", "SEVERITY_OK"]


class Doctor(DaemonTest):
    def examine(self, *arguments):
        """Findings of a daemon that answers, whatever this machine is like."""
        result = self.ctl("-o", "json", "doctor", *arguments)
        findings = result.json["findings"]
        is_problem = any(finding["severity"] == SEVERITIES[0] for finding in findings)
        self.assertEqual((result.code, result.err), (1 if is_problem else 0, ""))
        return findings

    def test_every_finding_is_whole_and_the_worst_come_first(self):
        findings = self.examine()
        checks = {finding["id"] for finding in findings}
        self.assertLessEqual({"cuda_backend", "disk_space", "memory", "load_average"}, checks)
        order = [SEVERITIES.index(finding["severity"]) for finding in findings]
        self.assertEqual(order, sorted(order))
        for finding in findings:
            self.assertTrue(finding["what"] and finding["why"], finding)
            self.assertEqual(finding["cureCommand"] == "", finding["severity"] == SEVERITIES[2], finding)
            self.assertIn(finding["device"], ("", "cpu"))

    def test_people_see_what_is_well_only_with_all(self):
        short, whole = self.ctl("doctor"), self.ctl("doctor", "--all")
        self.assertRegex(short.out.splitlines()[-1], r"^\d+ problems?, \d+ warnings?, \d+ checks? well$")
        self.assertNotIn("\nOK ", "\n" + short.out)
        self.assertRegex(whole.out, r"(?m)^(OK|WARNING|PROBLEM) +host +disk_space ")

    def test_a_device_that_is_not_served_is_named(self):
        self.refused("DEVICE_NOT_FOUND", "--device", "cuda:7", "doctor", allowed="cpu")
        self.assertTrue(self.examine("--device", "cpu"))

    def test_a_port_that_speaks_no_grpc_is_told_from_one_where_nobody_listens(self):
        for target, last in ((self.daemon.http, "target_tls"), ("127.0.0.1:1", "target_port")):
            result = qtipctl(target, "-o", "json", "--timeout", "1s", "doctor")
            self.assertEqual(result.code, 2)
            self.assertTrue(result.err.startswith("error: TARGET_UNREACHABLE: "), result.err)
            self.assertEqual(result.json["findings"][-1]["id"], last)

    def test_several_targets_are_examined_in_turn(self):
        result = qtipctl(f"{self.daemon.target},127.0.0.1:1", "-o", "json", "--timeout", "2s", "doctor")
        self.assertEqual(result.code, 2)
        here, nobody = result.json["targets"]
        self.assertEqual(here["target"], self.daemon.target)
        self.assertIn("disk_space", [finding["id"] for finding in here["findings"]])
        self.assertEqual(nobody["findings"][-1]["id"], "target_port")


class LeftClockLocks(unittest.TestCase):
    def test_a_marker_stays_where_its_gpu_cannot_be_reached(self):
        with tempfile.TemporaryDirectory(prefix="qtipd-e2e-") as scratch:
            marker = pathlib.Path(scratch) / "locked-clocks.GPU-00000000-0000-0000-0000-000000000000"
            marker.write_text("1980 MHz\n")
            daemon = Daemon(scratch)
            self.assertEqual(qtipctl(daemon.target, "health").code, 0)
            self.assertEqual(daemon.stop(), 0)
            self.assertTrue(marker.exists())


if __name__ == "__main__":
    unittest.main()
