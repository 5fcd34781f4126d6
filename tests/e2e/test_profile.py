"""qtipctl profile against a real daemon and the real helper, on the CPU backend: its counters, or the
refusal that this host deserves."""

import csv
import io
import pathlib
import unittest

from harness import DaemonTest

# Counted by the kernel itself: there wherever perf_event_open is, whatever the processor shows.
SOFTWARE_METRIC = "task_clock"
REFUSALS = {
    "PERF_EVENT_NOT_PERMITTED": ("perf_event_paranoid", "CAP_PERFMON"),
    "PERF_EVENT_UNSUPPORTED": ("virtual PMU",),
}


class Profile(DaemonTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        made = cls.ctl(cls, "quantize", "--name", "w", "--bits", "2", "--random", "64x64")
        assert made.code == 0, made.err

    def tearDown(self):
        self.assertEqual(self.ctl("health").code, 0)

    def profile(self, *flags):
        """A profile's JSON, or None after a refusal of its proper shape: one of the two, always."""
        result = self.ctl("-o", "json", "profile", "--artifact", "w", *flags)
        if result.code == 0:
            self.assertEqual(result.err, "")
            return result.json
        self.assertEqual((result.code, result.out), (2, ""))
        line = result.err.splitlines()[0]
        reason = line.split(": ")[1]
        self.assertIn(reason, REFUSALS, line)
        for word in REFUSALS[reason]:  # the cure
            self.assertIn(word, line)
        self.assertIn(f'"reason": "{reason}"', result.err)
        return None

    def software_profile(self):
        profile = self.profile("--metrics", SOFTWARE_METRIC)
        if profile is None:
            self.skipTest("this host refuses even its own counters")
        return profile

    def check_whole(self, profile):
        self.assertEqual((profile["artifact"], profile["path"], profile["batch"]), ("w", "fused", "1"))
        self.assertEqual(profile["source"], "perf_event")
        self.assertEqual(profile["passes"], 1)
        self.assertGreater(int(profile["runs"]), 0)
        self.assertGreater(profile["copies"], 0)
        self.assertTrue(profile["chip"] and profile["environment"]["kernel"])
        for metric in profile["metrics"]:
            self.assertGreaterEqual(metric["value"], 0, metric)
            self.assertTrue(metric["description"], metric)

    def test_a_preset_gives_counters_or_the_typed_refusal(self):
        for preset in ("memory", "stalls", "full"):
            profile = self.profile("--preset", preset)
            if profile is None:
                continue
            self.check_whole(profile)
            self.assertEqual(profile["preset"], preset)
            counted = {metric["name"] for metric in profile["metrics"]}
            self.assertTrue(counted & {"cycles", "instructions", "cache_misses"}, counted)

    def test_metrics_by_name_are_kept_and_read_again(self):
        profile = self.software_profile()
        self.check_whole(profile)
        self.assertEqual([metric["name"] for metric in profile["metrics"]], [SOFTWARE_METRIC])
        self.assertEqual(self.done("profile", "show", profile["id"]), profile)
        listed = self.done("profile", "list")["profiles"]
        self.assertIn(profile["id"], [entry["id"] for entry in listed])
        self.assertTrue(all(entry["metrics"] == [] for entry in listed))
        for text in (self.ctl("profile", "show", profile["id"]).out,
                     self.ctl("profile", "list").out):
            self.assertIn("perf_event", text)

    def test_two_are_compared(self):
        a, b = self.software_profile(), self.software_profile()
        compared = self.done("profile", "compare", a["id"], b["id"])
        self.assertEqual([fact["fact"] for fact in compared["facts"] if fact["differs"]], [])
        metric, = compared["metrics"]
        self.assertAlmostEqual(metric["difference"], metric["b"] - metric["a"])
        rows = list(csv.DictReader(io.StringIO(
            self.ctl("-o", "csv", "profile", "compare", a["id"], b["id"]).out)))
        self.assertEqual([row["metric"] for row in rows], [SOFTWARE_METRIC])

    def test_an_export_on_the_cpu_is_the_text_alone(self):
        profile = self.software_profile()
        text = self.ctl("profile", "export", profile["id"]).out
        self.assertIn(SOFTWARE_METRIC, text)
        self.assertIn("no latencies", text)
        written, = self.done("profile", "export", profile["id"], "--out", self.scratch)["files"]
        self.assertEqual(pathlib.Path(written).name, "ncu_stall_summary_K2.txt")
        self.assertEqual(pathlib.Path(written).read_text(), text)
        self.refused("STALLS_NOT_COUNTED", "-o", "csv", "profile", "export", profile["id"])
        self.refused("FILE_NOT_WRITABLE", "profile", "export", profile["id"], "--out", "/dev/null")

    def test_a_profile_is_no_run_and_its_job_is_one(self):
        before = self.done("runs", "list")["runs"]
        profile = self.software_profile()
        self.assertEqual(self.done("runs", "list")["runs"], before)
        kinds = [job["kind"] for job in self.done("jobs", "list")["jobs"]]
        self.assertIn("profile", kinds)
        fields = set(profile) | {key for metric in profile["metrics"] for key in metric}
        self.assertEqual({name for name in fields if "atency" in name or "sample" in name.lower()},
                         {"totalSamples", "droppedSamples"})  # of instructions

    def test_what_would_be_counted_is_told_beforehand(self):
        before = self.done("profile", "list")
        told = self.done("profile", "--artifact", "w", "--preset", "memory", "--dry-run")
        self.assertEqual(told["passes"], 1)
        self.assertIn("cache_misses", told["selectedMetrics"])
        self.assertEqual(self.done("profile", "list"), before)
        self.assertEqual(self.done("profile", "metrics", "--preset", "memory"), told)
        catalogue = self.done("profile", "metrics", "--filter", "cache")["metrics"]
        self.assertEqual({metric["name"] for metric in catalogue}, {"cache_references", "cache_misses"})
        self.assertIn("1 pass", self.ctl("profile", "metrics", "--metrics", "cycles").out)

    def test_bad_input_is_refused_with_what_is_allowed(self):
        for flags in ((), ("--dry-run",)):
            self.refused("ARTIFACT_NOT_FOUND", "profile", "--artifact", "v", *flags)
            self.refused("PATH_UNKNOWN", "profile", "--artifact", "w", "--path", "fast", *flags,
                         allowed="dense, dequant, fused")
            self.refused("PRESET_UNKNOWN", "profile", "--artifact", "w", "--preset", "all", *flags,
                         allowed="memory, stalls, full")
            self.refused("METRIC_UNKNOWN", "profile", "--artifact", "w", "--metrics", "speed", *flags,
                         allowed="cycles")
            self.refused("DEVICE_NOT_FOUND", "profile", "--artifact", "w", "--device", "cuda:7",
                         *flags, allowed="cpu")
            self.refused("USAGE", "profile", "--artifact", "w", "--preset", "full", "--metrics",
                         "cycles", *flags)
            self.refused("BATCH_INVALID", "profile", "--artifact", "w", "--batch", "5000", *flags)
            self.refused("METRIC_INVALID", "profile", "--artifact", "w", "--metrics", "a b", *flags)
        self.refused("STEP_UNKNOWN", "profile", "--artifact", "w", "--step", "s", "--metrics",
                     SOFTWARE_METRIC, allowed="fused_decode")
        for verb in (("show", "7777"), ("export", "x"), ("compare", "7777", "8888")):
            self.refused("PROFILE_NOT_FOUND", "profile", *verb)
        self.refused("PRESET_UNKNOWN", "profile", "metrics", "--preset", "all")


class NoHelper(DaemonTest):
    FLAGS = ("--profiler={scratch}/none",)

    def test_a_helper_that_is_missing_is_named(self):
        self.done("quantize", "--name", "w", "--bits", "2", "--random", "32x32")
        self.refused("PROFILER_HELPER_FAILED", "profile", "--artifact", "w",
                     allowed=str(self.scratch / "none"))
        self.refused("PROFILER_HELPER_FAILED", "profile", "metrics")
        self.assertEqual(self.done("profile", "list")["profiles"], [])
        self.assertEqual(self.ctl("health").code, 0)


if __name__ == "__main__":
    unittest.main()
