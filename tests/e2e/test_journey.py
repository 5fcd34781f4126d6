"""What a user does, from a matrix to its numbers."""

import csv
import io
import json
import pathlib

from harness import Daemon, DaemonTest, f32, matrix, qtipctl, read_safetensors, write_safetensors

SIZE = "256x256"


class Journey(DaemonTest):
    """Tests run in the order of their names; each goes on from the one before."""

    def test_1_quantizes_at_every_rate(self):
        for bits in (2, 3, 4):
            artifact = self.done("quantize", "--name", f"w{bits}", "--bits", bits, "--random", SIZE)
            self.assertEqual(artifact["name"], f"w{bits}")
            self.assertEqual(artifact["format"], "qtip")
            self.assertEqual(artifact["formatOptions"]["code"], {"text": "hyb"})
            self.assertEqual(artifact["formatOptions"]["bits"], {"integer": str(bits)})
            # Relative error of the hyb code on Gaussian weights at these rates, with slack for few
            # weights.
            bound = {2: 0.080, 3: 0.024, 4: 0.010}[bits]
            self.assertLess(artifact["quality"]["relativeWeightMse"], bound)
            self.assertGreater(artifact["quality"]["relativeWeightMse"], bound / 2)

    def test_2_lists_them_in_every_format(self):
        names = [artifact["name"] for artifact in self.done("artifacts", "list")["artifacts"]]
        self.assertEqual(sorted(names), ["w2", "w3", "w4"])
        rows = list(csv.DictReader(io.StringIO(self.ctl("artifacts", "list", "-o", "csv").out)))
        self.assertEqual(sorted(row["bits"] for row in rows), ["2", "3", "4"])
        self.assertIn("| w2 | qtip/hyb |", self.ctl("artifacts", "list", "-o", "markdown").out)
        self.assertIn("w2", self.ctl("artifacts", "list").out)

    def test_3_benchmarks_every_path(self):
        result = self.ctl("-o", "json", "bench", "--artifact", "w2", "--path",
                          "dense,dequant,fused", "--batch", "1", "--samples", "20")
        self.assertEqual((result.code, result.err), (0, ""))
        run = result.json
        self.assertEqual([cell["path"] for cell in run["results"]], ["dense", "dequant", "fused"])
        for cell in run["results"]:
            self.assertEqual(cell["cacheMode"], "rotate")
            self.assertEqual(len(cell["latency"]["samples"]), 20)
            self.assertEqual(cell["latency"]["stopReason"], "SAMPLE_LIMIT")
            self.assertGreater(cell["latency"]["median"], 0)
            self.assertLessEqual(cell["latency"]["ciLow"], cell["latency"]["median"])
            self.assertGreater(cell["tokensPerSecond"], 0)
            self.assertLess(cell["relativeError"], 1e-5)  # the bound for FP32 outputs
        self.assertIn("relativeWeightMse", run["quality"])
        steps = [step["name"] for step in run["results"][2]["steps"]]
        self.assertEqual(steps,
                         ["input_rotation", "fused_decode", "output_rotation", "output_scale"])

    def test_4_shows_the_run_again(self):
        run = self.done("runs", "list")["runs"][0]
        shown = self.done("runs", "show", run["id"])
        self.assertEqual(len(shown["results"][0]["latency"]["samples"]), 20)
        text = self.ctl("runs", "show", run["id"]).out
        for word in ("environment: ", "fused_decode", "SAMPLE_LIMIT", "relative weight MSE"):
            self.assertIn(word, text)
        samples = self.ctl("runs", "show", run["id"], "--samples", "-o", "csv").out
        self.assertEqual(len(samples.splitlines()), 1 + 3 * 20)

    def test_4_takes_bf16_activations_on_every_path(self):
        flags = ("--artifact", "w2", "--batch", "1,3", "--samples", "5")
        run = self.done("bench", *flags, "--path", "dense,dequant,fused", "--activations", "bf16")
        self.assertEqual(run["request"]["activationDtype"], "BF16")
        self.assertEqual(len(run["results"]), 6)
        for cell in run["results"]:
            self.assertEqual(cell["activationDtype"], "BF16")
            self.assertEqual(cell["steps"][0]["name"], "input_cast")
            self.assertEqual(cell["steps"][-1]["name"], "output_cast")
            self.assertGreater(cell["relativeError"], 1e-4)  # y has 8 significant bits
            self.assertLess(cell["relativeError"], cell["relativeErrorBound"])
            self.assertIn("activations=BF16", cell["comparabilityKey"])
        table = self.ctl("bench", *flags, "--path", "fused", "--activations", "bf16")
        self.assertEqual(table.code, 0, table.err)
        self.assertIn("activations", table.out)
        plain = self.done("bench", *flags, "--path", "fused")
        self.assertEqual(plain["results"][0]["activationDtype"], "F32")
        self.refused("NOT_COMPARABLE", "compare", "--baseline", plain["id"], "--candidate",
                     run["id"])
        shown = self.ctl("runs", "show", run["id"]).out
        self.assertRegex(shown, r"activations +BF16")

    def test_5_prints_a_table_of_several_artifacts(self):
        result = self.ctl("bench", "--artifact", "w2,w3", "--path", "dense,fused", "--cache", "hot",
                          "--samples", "5")
        self.assertEqual(result.code, 0, result.err)
        self.assertIn("vs dense", result.out)
        self.assertEqual(result.out.count("SAMPLE_LIMIT"), 4)
        self.assertEqual(result.out.count("  hot  "), 4)

    def test_6_exports_and_imports_the_same_weights(self):
        dense = self.scratch / "dense.safetensors"
        packed = self.scratch / "packed.safetensors"
        again = self.scratch / "again.safetensors"
        self.done("export", "w2", dense, "--as", "dense")
        dtype, shape, weights = read_safetensors(dense)["weight"]
        self.assertEqual((dtype, shape, len(weights)), ("F32", [256, 256], 256 * 256 * 4))
        self.done("export", "w2", packed)
        self.assertIn("trellis", read_safetensors(packed))
        imported = self.done("import", packed, "--name", "imported")
        self.assertNotIn("quality", imported)
        self.done("export", "imported", again, "--as", "dense")
        self.assertEqual(read_safetensors(again)["weight"][2], weights)

    def test_7_imports_one_layer_of_many_by_its_prefix(self):
        layer = read_safetensors(self.scratch / "packed.safetensors")
        many = {f"layers.{i}.{name}": tensor for i in (1, 10) for name, tensor in layer.items()}
        path = write_safetensors(self.scratch / "many.safetensors", many)
        self.done("import", path, "--name", "layer1", "--prefix", "layers.1")
        self.refused("LAYER_AMBIGUOUS", "import", path, "--name", "layers")
        self.refused("PREFIX_NOT_FOUND", "import", path, "--name", "l", "--prefix", "layers.2",
                     allowed="layers.1.")

    def test_8_refuses_to_overwrite_a_file(self):
        dense = self.scratch / "dense.safetensors"
        before = dense.read_bytes()
        self.refused("FILE_EXISTS", "export", "w3", dense)
        self.assertEqual(dense.read_bytes(), before)
        self.done("export", "w3", dense, "--as", "dense", "--force")
        self.assertNotEqual(dense.read_bytes(), before)
        self.assertEqual([path.name for path in self.scratch.glob(".tmp-*")], [])

    def test_9_loads_unloads_and_deletes(self):
        self.assertEqual(self.done("artifacts", "load", "w2")["loadedOn"], ["cpu"])
        self.assertEqual(self.done("artifacts", "unload", "w2")["loadedOn"], [])
        self.done("artifacts", "delete", "w2")
        self.refused("ARTIFACT_NOT_FOUND", "artifacts", "show", "w2", allowed="w3")


class Input(DaemonTest):
    """Weights and Hessians out of files."""

    FLAGS = ("--server-path={scratch}",)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        identity = [float(row == column) for row in range(64) for column in range(64)]
        hessian = ("F32", [64, 64], f32(identity))
        cls.file = write_safetensors(cls.scratch / "in.safetensors",
                                     {"w": matrix(64, 64), "h": hessian})
        cls.other = write_safetensors(cls.scratch / "other.safetensors", {"w": hessian})

    def quantized(self, name, *source):
        self.done("quantize", "--name", name, "--bits", "2", *source)
        path = self.scratch / f"{name}.out"
        self.done("export", name, path)
        return read_safetensors(path)

    def test_a_hessian_changes_nothing_if_it_is_the_identity(self):
        plain = self.quantized("plain", "--input", self.file, "--tensor", "w")
        same_file = self.quantized("same", "--input", self.file, "--tensor", "w", "--hessian", "h")
        other_file = self.quantized("other", "--input", self.file, "--tensor", "w", "--hessian",
                                    f"{self.other}:w")
        self.assertEqual(plain["trellis"], same_file["trellis"])
        self.assertEqual(plain["trellis"], other_file["trellis"])

    def test_the_daemon_reads_allowed_files_itself(self):
        here = self.quantized("uploaded", "--input", self.file, "--tensor", "w")
        there = self.quantized("served", "--server-path", self.file, "--tensor", "w")
        self.assertEqual(here["trellis"], there["trellis"])
        self.refused("SERVER_PATH_NOT_ALLOWED", "quantize", "--name", "n", "--bits", "2",
                     "--server-path", "/etc/passwd", "--tensor", "w")


class Suite(DaemonTest):
    def run_suite(self):
        return self.ctl("suite", "run", "qtip-eval", "--size", "128", "--out",
                        self.scratch / "results")

    def rows_of(self, folder, name):
        path, = (self.scratch / folder).glob(f"*/{name}")
        return list(csv.DictReader(path.read_text().splitlines()))

    def rows(self, name):
        return self.rows_of("results", name)

    def test_writes_the_published_columns_and_can_run_again(self):
        for _ in range(2):
            result = self.run_suite()
            self.assertEqual(result.code, 0, result.err)
        self.assertEqual(result.out.count("SAMPLE_LIMIT"), 9)
        timings = self.rows("quant_timings.csv")
        self.assertEqual([row["K"] for row in timings], ["2", "3", "4"])
        self.assertTrue(all(float(row["viterbi_s"]) > 0 for row in timings))
        dequant = self.rows("dequant/results.csv")
        self.assertEqual([row["config"] for row in dequant], ["FP32", "K=2", "K=3", "K=4"])
        self.assertEqual(dequant[0]["w_mse"], "")
        self.assertTrue(all(float(row["ms"]) > 0 for row in dequant))
        fused = self.rows("fused/results.csv")
        self.assertGreater(float(fused[1]["fused_decode_ms"]), 0)
        self.assertEqual(fused[1]["kernel_loop_ms"], "")  # not measured on this backend
        listed = self.done("artifacts", "list")["artifacts"]
        kept = [a["name"] for a in listed if a["name"].startswith("suite/qtip-eval/")]
        self.assertEqual(len(kept), 3)

    def test_compares_distortions_with_the_published_ones(self):
        result = self.ctl("suite", "run", "distortion", "--size", "64", "--only",
                          "bits=4 code=2mad", "--out", self.scratch / "distortion", "-o", "json")
        self.assertEqual(result.code, 0, result.err)
        cells = result.json["cells"]
        self.assertEqual([cell["cell"] for cell in cells],
                         ["bits=4 code=2mad scale_override=1",
                          "bits=4 code=2mad scale_override=0.9"])
        for cell in cells:
            self.assertIn(cell["verdict"], ("reproduced", "better"))
            self.assertAlmostEqual(cell["relativeMse"], cell["published"], delta=3e-4)
        listed = self.done("artifacts", "list")["artifacts"]
        self.assertFalse([a for a in listed if a["name"].startswith("suite/distortion/")])
        self.refused("USAGE", "suite", "run", "distortion", "--only", "bits=9", allowed="cell")
        self.refused("USAGE", "suite", "run", "qtip-eval", "--only", "bits=2", allowed="cells")

    def test_measures_the_table_of_speeds(self):
        result = self.ctl("suite", "run", "kernels", "--size", "128", "--only", "bits=2 code=hyb",
                          "--repeats", "2", "--out", self.scratch / "speeds")
        self.assertEqual(result.code, 0, result.err)
        runs = self.rows_of("speeds", "kernels/speeds.csv")
        measured = {(row["activation_dtype"], row["batch"], row["run"]) for row in runs}
        # Batches 1 to 64, and one vector of BF16, each in two runs.
        self.assertEqual(len(measured), 16)
        for column in ("dense_seconds", "dequant_seconds", "fused_seconds"):
            self.assertTrue(all(float(row[column]) > 0 for row in runs), column)
        # Larger batches may be handed over, and have no kernel then.
        self.assertTrue(all(row["kernel_seconds"] for row in runs if row["batch"] == "1"))
        self.assertIn("hands over from batch", result.out)
        whole, = (self.scratch / "speeds").glob("*/kernels/runs.json")
        self.assertEqual(len(json.loads(whole.read_text())["runs"]), 4)
        self.refused("USAGE", "suite", "run", "kernels", "--only", "bits=9", allowed="parts of a case")
        self.refused("USAGE", "suite", "run", "kernels", "--repeats", "0", allowed="at least 1")
        self.refused("USAGE", "suite", "run", "qtip-eval", "--repeats", "2", allowed="no such flag")

    def test_sweeps_formats_side_by_side(self):
        result = self.ctl("suite", "run", "frontier", "--size", "128", "--set", "bits=2,4",
                          "--exclude", "student_t5", "--out", self.scratch / "frontier")
        self.assertEqual(result.code, 0, result.err)
        self.assertIn("beaten by", result.out)
        cases = self.rows_of("frontier", "frontier/cases.csv")
        self.assertEqual([case["format"] for case in cases],
                         2 * ["qtip"] + 3 * ["int4"] + 2 * ["lut"])
        for case in cases:
            self.assertTrue(0 < float(case["relative_weight_mse"]) < 0.2, case)
            self.assertTrue(2 <= float(case["bits_per_weight"]) < 20, case)  # tables weigh much here
            self.assertGreater(float(case["fused_seconds"]), 0)

    def test_sweeps_axes_that_are_asked_for(self):
        result = self.ctl("suite", "run", "fdk", "--set", "in_features=128,256",
                          "--set", "out_features=64", "--set", "bits=1,4", "--set", "batch=1,4",
                          "--out", self.scratch / "fdk")
        self.assertEqual(result.code, 0, result.err)
        lines, = (self.scratch / "fdk").glob("*/fdk/cases.jsonl")
        cases = [json.loads(line) for line in lines.read_text().splitlines()]
        self.assertEqual({(case["in_features"], case["options"], case["batch"]) for case in cases},
                         {(side, f"bits={bits} block_size=64", batch) for side in (128, 256)
                          for bits in (1, 4) for batch in (1, 4)})
        for case in cases:  # 16 levels of U(-b, b), x from N(0,1): about b sqrt(in / 3) / 16
            root = (1 / 3) ** 0.5 / (16 if "bits=4" in case["options"] else 2)
            self.assertAlmostEqual(case["output_rmse"] / root, 1, delta=0.35)
        self.refused("USAGE", "suite", "run", "fdk", "--set", "code=hyb", allowed="block_size")
        self.refused("USAGE", "suite", "run", "qtip-eval", "--set", "bits=2", allowed="no such flag")

    def test_takes_activations_as_an_axis_of_every_format(self):
        result = self.ctl("suite", "run", "frontier", "--size", "128", "--set", "bits=2",
                          "--set", "group_size=32", "--set", "distribution=normal",
                          "--set", "activations=default,bf16", "--out", self.scratch / "axis")
        self.assertEqual(result.code, 0, result.err)
        cases = self.rows_of("axis", "frontier/cases.csv")
        self.assertEqual([(case["format"], case["activation_dtype"]) for case in cases],
                         [(name, dtype) for name in ("qtip", "int4", "lut")
                          for dtype in ("F32", "BF16")])
        for case in cases:
            self.assertGreater(float(case["fused_seconds"]), 0)
        result = self.ctl("suite", "run", "frontier", "--size", "128", "--include", "int4",
                          "--set", "activations=bf16,f16", "--out", self.scratch / "one")
        self.assertEqual(result.code, 3)
        self.assertIn("ACTIVATION_DTYPE_UNSUPPORTED", result.err)

    def test_judges_the_findings_of_tiny_gemm(self):
        result = self.ctl("suite", "run", "tiny-gemm", "--size", "128", "--repeats", "1",
                          "--set", "batch=1", "--out", self.scratch / "tiny")
        self.assertEqual(result.code, 0, result.err)
        self.assertIn("INT4 helps where the output is wide", result.out)
        self.assertIn("not measured", result.out)  # a host's processor gives no such counters
        self.assertIn("no shares of the peak", result.err)

    def test_a_case_that_does_not_fit_leaves_the_others(self):
        result = self.ctl("suite", "run", "fdk", "--size", "96", "--set", "bits=4",
                          "--set", "block_size=32,64", "--set", "batch=1",
                          "--out", self.scratch / "odd")
        self.assertEqual(result.code, 3, result.err)
        fits, does_not = self.rows_of("odd", "fdk/cases.csv")
        self.assertGreater(float(fits["fused_seconds"]), 0)
        self.assertEqual(does_not["fused_seconds"], "")
        self.assertNotEqual(does_not["problem"], "")

    def test_names_the_suites_there_are(self):
        self.refused("SUITE_NOT_FOUND", "suite", "run", "nope", allowed="qtip-eval")


class Fleet(DaemonTest):
    """Several targets at once."""

    def test_reads_from_all_and_says_who_answered(self):
        other = Daemon(self.scratch / "other")
        self.addCleanup(other.stop)
        both = f"{self.daemon.target},{other.target}"
        health = qtipctl(both, "health")
        self.assertEqual(health.code, 0, health.err)
        self.assertEqual(health.out.count("SERVING"), 2)
        self.assertIn(other.target, health.out)
        listed = qtipctl(both, "artifacts", "list", "-o", "json").json
        self.assertEqual([entry["target"] for entry in listed["targets"]], both.split(","))
        self.assertEqual(listed["targets"][0]["artifacts"], [])

    def test_goes_on_where_one_does_not_answer(self):
        result = qtipctl(f"127.0.0.1:1,{self.daemon.target}", "--timeout", "1s", "info")
        self.assertEqual(result.code, 2)
        self.assertEqual(result.reason, "TARGET_UNREACHABLE")
        self.assertIn(self.daemon.target, result.out)

    def test_lists_over_all_pages_and_shows_devices(self):
        self.assertEqual(self.done("runs", "list"), {"runs": []})
        self.assertEqual(self.done("jobs", "list"), {"jobs": []})
        info = self.done("info")
        self.assertEqual([device["id"] for device in info["devices"]], ["cpu"])
        self.assertEqual({path["id"] for path in info["paths"]},
                         {"dense", "dequant", "fused", "fused_a16"})
        self.assertIn("qtip", [format["id"] for format in info["formats"]])
        self.assertTrue(pathlib.Path(info["dataDir"]).is_dir())
        self.assertEqual(self.done("health"), {"status": "SERVING"})
        self.assertEqual(self.done("version")["servers"][0]["version"], info["version"])
