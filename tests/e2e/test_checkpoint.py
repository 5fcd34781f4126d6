"""Whole model directories in and out, and Hessians accumulated from activations."""

import json
import math
import os
import pathlib
import shutil
import signal
import struct
import tempfile
import unittest

from harness import (Daemon, DaemonTest, Stalling, f32, matrix, qtipctl, read_safetensors,
                     start_qtipctl, write_safetensors)
from model_directory import INDEX, Model, floats, read_model, scalar, write_sparse_model

Q0 = "model.layers.0.self_attn.q_proj."
LAST = "model.layers.1.self_attn.v_proj."  # the last one in the order of import


class ModelTest(DaemonTest):
    FLAGS = ("--server-path={scratch}",)

    def directory(self, name=""):
        path = self.scratch / (self.id().split(".")[-1] + name)
        shutil.rmtree(path, ignore_errors=True)
        return path

    def names(self):
        return [artifact["name"] for artifact in self.done("artifacts", "list")["artifacts"]]

    def stored_files(self):
        return sorted(path.name for path in (self.scratch / "data" / "artifacts").iterdir())


class Models(ModelTest):
    def round_trip(self, model, shards, *source, max_shard_bytes=5_000_000_000):
        out = self.directory("-out")
        imported = self.done("import", *source, "--name", "m")
        exported = self.done("export", "m", out, "--max-shard-bytes", max_shard_bytes)
        config, tensors = read_model(out)
        self.assertEqual(tensors, model.linears())
        self.assertEqual(len([f for f in exported["files"] if f.endswith(".safetensors")]), shards)
        self.assertEqual(sorted(path.name for path in out.iterdir()), sorted(exported["files"]))
        absent = sorted(set(model.tensors) - set(tensors))
        self.assertEqual(imported["absentTensors"], absent)
        self.assertEqual(exported["absentTensors"], absent)
        self.done("artifacts", "delete", "m", "--model")
        self.assertEqual(self.names(), [])
        self.assertEqual(self.stored_files(), [])
        return config

    def test_a_sharded_directory_comes_back_byte_for_byte(self):
        model = Model(bits=2, bits_of={"v": 3, "down": 4}, skip=["0_down", "1_up"])
        path = model.write(self.directory())
        for source in ((path,), ("--server-path", path)):
            config = self.round_trip(model, 3, *source, max_shard_bytes=20_000)
            self.assertEqual(config, model.config)

    def test_a_single_file_comes_back_byte_for_byte(self):
        for dtype in ("F16", "BF16", "F32"):
            model = Model(layers=1, bits=4, side_dtype=dtype, rcp=False)
            path = model.write(self.directory(), shards=1)
            config = self.round_trip(model, 1, path)
            self.assertEqual(config, model.config)

    def test_every_code_comes_back_byte_for_byte(self):
        for bits, code in ((2, ("1mad", 1, 16, 0)), (3, ("2mad", 1, 16, 0)), (4, ("3inst", 1, 16, 0)),
                           (2, ("lut", 1, 10, 10)), (2, ("lut", 2, 12, 12)), (2, ("1mad", 1, 12, 0)),
                           (1, ("quantlut", 1, 16, 9)), (3, ("quantlut_sym", 2, 16, 9))):
            with self.subTest(code=code):
                model = Model(layers=1, bits=bits)
                model.set_code(*code)
                path = model.write(self.directory("-".join(map(str, code))))
                self.assertEqual(self.round_trip(model, 1, path), model.config)

    def test_every_linear_is_an_artifact_of_its_own(self):
        path = Model(bits=2, bits_of={"v": 3}, skip=["1_o"]).write(self.directory())
        model = self.done("import", path, "--name", "llama")
        self.addCleanup(self.done, "artifacts", "delete", "llama", "--model")
        self.assertEqual(len(model["layers"]), 13)
        self.assertEqual([layer["artifact"] for layer in model["layers"]], self.names())
        value = self.done("artifacts", "show", "llama/model.layers.1.self_attn.v_proj")
        self.assertEqual(value["formatOptions"]["bits"], {"integer": "3"})
        self.assertEqual(value["shape"], {"outFeatures": "32", "inFeatures": "64"})
        bench = self.ctl("bench", "--artifact", value["name"], "--path", "fused", "--samples", "2")
        self.assertEqual(bench.code, 0, bench.err)
        text = self.ctl("export", "llama", self.directory("-out")).out
        self.assertIn("not held by the daemon: 6 tensors of the imported directory: lm_head.weight, ", text)
        self.assertIn("the tokenizer are to be copied from the original", text)

    def test_a_prefix_takes_a_part(self):
        path = Model().write(self.directory())
        for source in ((path,), ("--server-path", path)):
            model = self.done("import", *source, "--name", "m", "--prefix", "model.layers.1.mlp")
            self.assertEqual([layer["prefix"] for layer in model["layers"]],
                             [f"model.layers.1.mlp.{name}_proj." for name in ("down", "gate", "up")])
            self.done("artifacts", "delete", "m", "--model")
        self.refused("LAYER_NOT_FOUND", "import", "--server-path", path, "--name", "m", "--prefix",
                     "model.layers.7")

    def test_names_that_are_taken(self):
        path = Model(layers=1).write(self.directory())
        self.done("import", path, "--name", "m")
        self.refused("ARTIFACT_EXISTS", "import", path, "--name", "m")
        again = self.done("import", path, "--name", "m", "--if-absent")
        self.assertEqual(len(again["layers"]), 7)
        other = Model(layers=1, seed=2).write(self.directory("-other"))
        self.refused("ARTIFACT_RECIPE_DIFFERS", "import", other, "--name", "m", "--if-absent")
        more = Model(layers=2, bits=3).write(self.directory("-more"))
        part = ("import", more, "--name", "m", "--prefix", "model.layers.1")
        self.refused("ARTIFACT_EXISTS", *part, allowed="name: got m, allowed a name that no model has")
        self.refused("ARTIFACT_RECIPE_DIFFERS", *part, "--if-absent", allowed="config.json: got another")
        self.done("artifacts", "delete", "m", "--model")
        self.refused("MODEL_NOT_FOUND", "artifacts", "delete", "m", "--model")

    def test_artifacts_quantized_one_by_one_are_a_model_too(self):
        for name in ("q", "k"):
            self.done("quantize", "--name", f"own/model.layers.0.self_attn.{name}_proj",
                      "--bits", "2", "--random", "32x32")
        self.addCleanup(self.done, "artifacts", "delete", "own", "--model")
        out = self.directory()
        self.done("export", "own", out)
        config, tensors = read_model(out)
        self.assertEqual(config["quip_params"]["decode_mode"], "quantlut_sym")
        self.assertEqual((config["quip_params"]["K"], config["quip_params"]["V"]), (2, 2))
        self.assertEqual(len(tensors), 12)
        self.done("import", out, "--name", "again")
        self.done("artifacts", "delete", "again", "--model")
        self.done("quantize", "--name", "own/model.layers.1.self_attn.q_proj", "--bits", "3",
                  "--random", "32x32")
        self.refused("MODEL_NOT_UNIFORM", "export", "own", self.directory("-out"), allowed="2 and 3")

    def test_a_bias_is_left_out_and_named(self):
        model = Model(layers=1)
        bias = Q0 + "bias"
        model.tensors[bias] = model.plain(64)
        path = model.write(self.directory())
        self.addCleanup(self.done, "artifacts", "delete", "m", "--model")
        for source in ((path,), ("--server-path", path)):
            imported = self.done("import", *source, "--name", "m")
            self.assertIn(bias, imported["absentTensors"])
            out = self.directory("-out")
            exported = self.done("export", "m", out)
            self.assertIn(bias, exported["absentTensors"])
            self.assertEqual(sorted({*read_model(out)[1], *exported["absentTensors"]}),
                             sorted(model.tensors))
            self.done("artifacts", "delete", "m", "--model")
        told = "without what it adds to their outputs: " + bias
        self.assertIn(told, self.ctl("import", path, "--name", "m").out)
        self.assertIn(told, self.ctl("export", "m", self.directory("-out")).out)

    def test_an_interrupted_export_leaves_nothing(self):
        model = Model(layers=1)
        model.add_linear(LAST, (1024, 1024), 2, "F16", False)
        model.config["num_hidden_layers"] = 2
        model.config["quip_params"]["skip_list"] = [
            f"1_{name}" for name in ("q", "k", "o", "gate", "up", "down")]
        self.done("import", model.write(self.directory()), "--name", "m")
        self.addCleanup(self.done, "artifacts", "delete", "m", "--model")
        folder = self.directory("-folder")
        folder.mkdir()
        for what in ("m", "m/" + LAST[:-1]):
            # The linear's 256 KiB never arrive as a whole, so that the signal meets a download.
            with Stalling(self.daemon.target, after=200_000) as stalling:
                process = start_qtipctl(stalling.target, "export", what, folder / "out")
                self.assertTrue(stalling.has_stalled.wait(60))
                self.assertNotEqual(list(folder.iterdir()), [])
                process.send_signal(signal.SIGINT)
                out, err = process.communicate(timeout=60)
            self.assertEqual((process.returncode, out), (2, ""))
            self.assertIn("error: INTERRUPTED_BY_USER: export", err)
            self.assertEqual(list(folder.iterdir()), [])

    def test_a_directory_with_something_in_it_is_left_alone(self):
        path = Model(layers=1).write(self.directory())
        self.done("import", path, "--name", "m")
        self.addCleanup(self.done, "artifacts", "delete", "m", "--model")
        before = sorted(file.name for file in path.iterdir())
        self.refused("FILE_EXISTS", "export", "m", path)
        self.refused("USAGE", "export", "m", path, "--force")
        self.refused("FILE_NOT_WRITABLE", "export", "m", "/nonexistent/m")
        self.refused("USAGE", "export", "m", self.directory("-out"), "--as", "dense")
        self.assertEqual(sorted(file.name for file in path.iterdir()), before)
        self.assertEqual([file.name for file in self.scratch.glob(".tmp-*")], [])
        self.refused("ARTIFACT_NOT_FOUND", "export", "nope", self.directory("-out"))


@unittest.skipIf(os.environ.get("QTIPD_SANITIZE"), "a sanitizer keeps memory of its own")
class Memory(unittest.TestCase):
    """What the daemon holds while it imports is a few linears, however many there are."""

    LINEAR = 8192 * 8192 * 4 // 8  # bytes

    def test_a_servers_directory_is_never_in_memory_as_a_whole(self):
        scratch = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="qtipd-e2e-")))
        daemon = Daemon(scratch / "data", f"--server-path={scratch}")
        self.addCleanup(daemon.stop)
        peaks = [daemon.peak_memory()]
        for linears, shards in ((4, 1), (16, 4)):
            path = write_sparse_model(scratch / str(linears), linears, shards, 8192, bits=4)
            done = qtipctl(daemon.target, "-o", "json", "import", "--server-path", path, "--name", "m")
            self.assertEqual(done.code, 0, done.err)
            self.assertEqual(len(done.json["layers"]), linears)
            self.assertEqual(qtipctl(daemon.target, "artifacts", "delete", "m", "--model").code, 0)
            peaks.append(daemon.peak_memory())
        start, few, many = peaks
        # The mapped pages of one linear and the copy of it that is checked.
        self.assertLess(few - start, 3 * self.LINEAR)
        self.assertLess(many - few, self.LINEAR / 2)


class BadModels(ModelTest):
    """Each refusal names the key or the tensor, and nothing is left behind."""

    def tearDown(self):
        self.assertEqual(self.names(), [])
        self.assertEqual(self.stored_files(), [])
        # An upload goes after its operation's end, but before the next one begins.
        path = write_safetensors(self.scratch / "plain.safetensors", {"weight": matrix(1, 1)})
        self.refused("LAYER_NOT_FOUND", "import", "--server-path", path, "--name", "m")
        self.assertEqual(list((self.scratch / "data" / "uploads").iterdir()), [])

    def both(self, reason, directory, named):
        """Uploaded and read by the daemon, the refusal is the same."""
        for source in ((directory,), ("--server-path", directory)):
            self.refused(reason, "import", *source, "--name", "m", allowed=named)

    def config(self, reason, named, **params):
        model = Model(layers=1)
        model.config["quip_params"].update(params)
        self.both(reason, model.write(self.directory()), named)

    def tensor(self, reason, named, name, tensor, **options):
        model = Model(**options)
        model.tensors[name] = tensor
        if tensor is None:
            del model.tensors[name]
        self.both(reason, model.write(self.directory()), named)

    def test_keys_that_contradict_the_tensors(self):
        first = "model.layers.0.mlp.down_proj."  # in the order of import
        for named, params in (
                (f"quip_params.K: got 3, allowed 2, that of {first}trellis [32, 32]", {"K": 3}),
                ("quip_params.K_v_proj: got 4, allowed 2, that of "
                 "model.layers.0.self_attn.v_proj.trellis [8, 32]", {"K_v_proj": 4}),
                (f"quip_params.decode_mode: got 1mad, allowed a code with a table, as {first}tlut is "
                 "there", {"decode_mode": "1mad", "V": 1}),
                (f"quip_params.split_for_tp: got true, allowed false, as {first}rcp is 0",
                 {"split_for_tp": True}),
                ("quip_params.skip_list: got 0_q, allowed no linear that is quantized, as "
                 f"{Q0}trellis says", {"skip_list": ["0_q"]})):
            self.config("MODEL_CONFIG_CONTRADICTS", named, **params)

    def test_keys_that_make_no_sense(self):
        self.config("MODEL_CONFIG_INVALID", "quip_params.L: got 17, allowed 8 to 16", L=17)
        self.config("MODEL_CONFIG_INVALID", "quip_params.L: got 8, allowed", L=2 ** 3, K=4, V=4,
                    decode_mode="lut", tlut_bits=8)
        self.config("MODEL_CONFIG_INVALID", "quip_params.V: got 1, allowed 2 to 2", V=1)
        self.config("MODEL_CONFIG_INVALID", "quip_params.K: got \"2\", allowed 1 to 4", K="2")
        self.config("MODEL_CONFIG_INVALID", "quip_params.codebook: got E8P12", codebook="E8P12")
        self.config("MODEL_CONFIG_INVALID", "quip_params.decode_mode: got 4mad", decode_mode="4mad")
        self.config("MODEL_CONFIG_INVALID", "quip_params.tlut_bits: got 9, allowed 16",
                    decode_mode="lut")
        self.config("MODEL_CONFIG_INVALID", "quip_params.skip_list: got string", skip_list="0_q")
        self.config("TENSOR_SHAPE_INVALID", "tlut: got [512, 2], allowed [1024, 2]", tlut_bits=10)

    def test_no_config_of_a_known_format(self):
        model = Model(layers=1)
        del model.config["quip_params"]
        self.both("MODEL_CONFIG_INVALID", model.write(self.directory()), "quip_params")
        (self.directory("-text")).mkdir()
        path = Model(layers=1).write(self.directory())
        (path / "config.json").write_text("not JSON")
        self.both("MODEL_CONFIG_INVALID", path, "config.json")
        (path / "config.json").unlink()
        self.both("FILE_NOT_FOUND", path, "config.json")

    def test_tensors_that_do_not_fit(self):
        half = floats("F16", [0.0] * 512)
        self.tensor("TENSOR_SHAPE_INVALID", f"{LAST}tlut: got [256, 2], allowed [512, 2]",
                    LAST + "tlut", ("F16", [256, 2], half))
        self.tensor("TENSOR_SHAPE_INVALID", f"{Q0}trellis: got [16, 31], allowed [16, 32]",
                    Q0 + "trellis", ("I16", [16, 31], bytes(16 * 62)))
        self.tensor("TENSOR_SHAPE_INVALID", f"{Q0}trellis: got [15, 32], allowed [16, 32]",
                    Q0 + "trellis", ("I16", [15, 32], bytes(15 * 64)))
        self.tensor("TENSOR_DTYPE_UNSUPPORTED", f"{Q0}SU: got I16", Q0 + "SU", ("I16", [64], bytes(128)))
        self.tensor("TENSOR_MISSING", f"{Q0}SV", Q0 + "SV", None)
        self.tensor("TENSOR_UNKNOWN", f"{LAST}Wscale: got a tensor beside those of a layer, allowed "
                    "trellis, SU,", LAST + "Wscale", ("F32", [1], f32([1.0])))
        self.tensor("TENSOR_VALUE_INVALID", f"{Q0}rcp: got 3", Q0 + "rcp", scalar(3))
        self.tensor("MODEL_CONFIG_CONTRADICTS", f"{Q0}rcp is 2", Q0 + "rcp", scalar(2))

    def test_a_linear_that_is_neither_quantized_nor_skipped(self):
        model = Model(layers=1, skip=["0_up"])
        model.config["quip_params"]["skip_list"] = None
        self.both("MODEL_LAYER_UNQUANTIZED", model.write(self.directory()),
                  "model.layers.0.mlp.up_proj.weight: got a linear without a trellis")
        model = Model(layers=2)
        for name in ("trellis", "SU", "SV", "tlut", "rcp", "tp_rank"):
            del model.tensors[LAST + name]
        self.both("MODEL_LAYER_UNQUANTIZED", model.write(self.directory()),
                  "linear 1_v: got no tensors")
        model = Model(layers=2)
        model.config["num_hidden_layers"] = 1
        self.both("MODEL_CONFIG_CONTRADICTS", model.write(self.directory()), "num_hidden_layers")

    def test_a_tp_rank_that_does_not_divide_the_shape(self):
        model = Model(layers=1, rcp=False)
        model.config["quip_params"]["split_for_tp"] = True
        model.tensors[Q0 + "tp_rank"] = scalar(7)
        self.both("TENSOR_VALUE_INVALID", model.write(self.directory()),
                  f"{Q0}tp_rank: got 7, allowed a divisor of the out_features, 64")

    def test_an_index_that_lies(self):
        path = Model(layers=1).write(self.directory())
        index = json.loads((path / INDEX).read_text())
        place = index["weight_map"]

        def written(tensor, file):
            (path / INDEX).write_text(json.dumps({"weight_map": {**place, tensor: file}}))
            return path

        missing = "model-00009-of-00009.safetensors"
        self.both("MODEL_SHARD_MISSING", written(Q0 + "SU", missing),
                  f"tensor {Q0}SU of {INDEX}: got {missing}, which is not there")
        self.both("MODEL_SHARD_MISSING", written("model.extra", place[Q0 + "SU"]),
                  "tensor model.extra")
        self.both("MODEL_INDEX_INVALID", written(Q0 + "SU", "../x.safetensors"), "../x.safetensors")
        self.both("MODEL_INDEX_INVALID", written(Q0 + "SU", 3), Q0 + "SU")
        (path / INDEX).write_text("[]")
        self.both("MODEL_INDEX_INVALID", path, "weight_map")

    def test_a_shard_whose_offsets_overlap(self):
        path = Model(layers=1).write(self.directory(), shards=1)
        content = (path / "model.safetensors").read_bytes()
        length, = struct.unpack("<Q", content[:8])
        header = json.loads(content[8:8 + length])
        header[Q0 + "SU"]["data_offsets"] = header[Q0 + "SV"]["data_offsets"]
        text = json.dumps(header).encode()
        (path / "model.safetensors").write_bytes(
            struct.pack("<Q", len(text)) + text + content[8 + length:])
        self.both("SAFETENSORS_INVALID", path, f"tensor {Q0}S")

    def test_a_fault_in_the_last_linear_takes_all_before_it_along(self):
        bad = floats("F16", [1.0] * 63 + [math.nan])
        self.tensor("TENSOR_NOT_FINITE", f"{LAST}SU: got nan at element 63", LAST + "SU",
                    ("F16", [64], bad))

    def test_a_link_out_of_the_allowed_directory(self):
        path = Model(layers=1).write(self.directory(), shards=1)
        (path / "config.json").unlink()
        (path / "config.json").symlink_to("/etc/passwd")
        self.refused("SERVER_PATH_NOT_ALLOWED", "import", "--server-path", path, "--name", "m")
        self.refused("USAGE", "import", "--name", "m", allowed="one of FILE, --server-path")


class Calibration(DaemonTest):
    FLAGS = ("--server-path={scratch}",)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # Small integers, so that every sum is exact; 64 tokens, so that the mean is, too.
        rows = [[(7 * token + column * column) % 9 - 4 for column in range(32)]
                for token in range(64)]
        gram = [[sum(row[i] * row[j] for row in rows) / 64 for j in range(32)] for i in range(32)]
        pieces = {"all": rows, "first": rows[:40], "rest": rows[40:]}
        tensors = {name: ("F32", [len(part), 32], f32([v for row in part for v in row]))
                   for name, part in pieces.items()}
        tensors["half"] = ("F16", [64, 32], floats("F16", [v for row in rows for v in row]))
        tensors["brain"] = ("BF16", [64, 32], floats("BF16", [v for row in rows for v in row]))
        tensors["wide"] = matrix(4, 64)
        tensors["bad"] = ("F32", [2, 32], f32([0.0] * 40 + [math.inf] + [0.0] * 23))
        tensors["flat"] = ("F32", [32], f32([1.0] * 32))
        tensors["w"] = matrix(32, 32)
        tensors["h"] = ("F32", [32, 32], f32([v for row in gram for v in row]))
        cls.file = write_safetensors(cls.scratch / "x.safetensors", tensors)
        cls.gram = gram

    def calibrate(self, name, tensor, *flags):
        return self.done("calibrate", "--name", name, "--input", self.file, "--tensor", tensor, *flags)

    def test_a_calibrated_hessian_is_the_mean_of_outer_products(self):
        hessian = self.calibrate("h1", "all")
        self.assertEqual((hessian["tokens"], hessian["inFeatures"]), ("64", "32"))
        self.assertAlmostEqual(hessian["meanDiagonal"], sum(self.gram[i][i] for i in range(32)) / 32)
        trellis = []
        for name, place in (("a", "h"), ("b", "@h1")):
            self.done("quantize", "--name", name, "--bits", "2", "--input", self.file, "--tensor",
                      "w", "--hessian", place)
            path = self.scratch / name
            self.done("export", name, path)
            trellis.append(read_safetensors(path)["trellis"])
        self.assertEqual(trellis[0], trellis[1])
        self.assertIn("hessian=@h1", self.done("artifacts", "show", "b")["source"])
        self.done("quantize", "--name", "c", "--bits", "2", "--server-path", self.file, "--tensor",
                  "w", "--hessian", "@h1")

    def test_pieces_add_up_and_dtypes_agree(self):
        whole = self.calibrate("whole", "all")["sha256"]
        self.calibrate("pieces", "first")
        pieces = self.calibrate("pieces", "rest", "--add")
        self.assertEqual((pieces["sha256"], pieces["tokens"]), (whole, "64"))
        self.assertEqual(len(pieces["sources"]), 2)
        for tensor in ("half", "brain"):
            self.assertEqual(self.calibrate(tensor, tensor)["sha256"], whole)
        served = self.done("calibrate", "--name", "served", "--server-path", self.file, "--tensor",
                           "all")
        self.assertEqual(served["sha256"], whole)

    def test_lists_shows_and_deletes(self):
        self.calibrate("gone/soon", "all")
        names = [hessian["name"] for hessian in self.done("calibrate", "list")["hessians"]]
        self.assertIn("gone/soon", names)
        self.assertIn("tensor=all", self.ctl("calibrate", "show", "gone/soon").out)
        self.done("calibrate", "delete", "gone/soon")
        self.refused("HESSIAN_NOT_FOUND", "calibrate", "show", "gone/soon")
        self.refused("HESSIAN_NOT_FOUND", "calibrate", "delete", "gone/soon")

    def test_refuses_what_cannot_be_meant(self):
        def refused(reason, name, tensor, *flags, allowed=""):
            self.refused(reason, "calibrate", "--name", name, "--input", self.file, "--tensor",
                         tensor, *flags, allowed=allowed)

        self.calibrate("taken", "all")
        before = self.done("calibrate", "show", "taken")
        refused("HESSIAN_EXISTS", "taken", "all")
        refused("HESSIAN_SHAPE", "taken", "wide", "--add", allowed="32, as Hessian taken has")
        refused("NON_FINITE", "taken", "bad", "--add", allowed="[1, 8]")
        refused("HESSIAN_NOT_FOUND", "takne", "all", "--add", allowed="did you mean taken?")
        refused("NON_FINITE", "new", "bad")
        refused("TENSOR_SHAPE_UNSUPPORTED", "new", "flat", allowed="[tokens, in_features]")
        refused("TENSOR_NOT_FOUND", "new", "nope")
        refused("NAME_INVALID", "a b", "all")
        self.refused("USAGE", "calibrate", "--name", "new", "--tensor", "all")
        self.refused("USAGE", "calibrate", "--name", "new", "list")
        self.refused("HESSIAN_NOT_FOUND", "quantize", "--name", "n", "--bits", "2", "--input",
                     self.file, "--tensor", "w", "--hessian", "@nope")
        self.refused("HESSIAN_SHAPE", "quantize", "--name", "n", "--bits", "2", "--input",
                     self.file, "--tensor", "wide", "--hessian", "@taken", allowed="those of W")
        self.assertEqual(self.done("calibrate", "show", "taken"), before)
        self.refused("HESSIAN_NOT_FOUND", "calibrate", "show", "new")
        stored = list((self.scratch / "data" / "hessians").iterdir())
        self.assertEqual([path.name for path in stored if path.name.startswith(".tmp-")], [])
