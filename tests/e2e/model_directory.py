"""Makes small model directories in the layout of published QTIP checkpoints."""

import json
import math
import os
import pathlib
import random
import struct

from harness import read_safetensors, write_safetensors

HIDDEN, KEYS, INNER = 64, 32, 128
SHAPES = {  # out_features, in_features
    "self_attn.q_proj": (HIDDEN, HIDDEN), "self_attn.k_proj": (KEYS, HIDDEN),
    "self_attn.v_proj": (KEYS, HIDDEN), "self_attn.o_proj": (HIDDEN, HIDDEN),
    "mlp.gate_proj": (INNER, HIDDEN), "mlp.up_proj": (INNER, HIDDEN),
    "mlp.down_proj": (HIDDEN, INNER)}
INDEX = "model.safetensors.index.json"


def floats(dtype, values):
    """The values as elements of F16, BF16 or F32."""
    if dtype == "BF16":
        return b"".join(struct.pack("<f", value)[2:] for value in values)
    return struct.pack(f"<{len(values)}{'e' if dtype == 'F16' else 'f'}", *values)


def scalar(value):
    return "I64", [], struct.pack("<q", value)


class Model:
    """`tensors` and `config` may be changed before `write`."""

    def __init__(self, layers=2, bits=2, bits_of=None, skip=(), side_dtype="F16", rcp=True, seed=1):
        self.numbers = random.Random(seed)
        self.config = {
            "_name_or_path": "base/model", "architectures": ["LlamaForCausalLM"],
            "hidden_size": HIDDEN, "num_hidden_layers": layers,
            "quip_params": {
                "K": bits, "L": 16, "V": 2, "codebook": "bitshift", "codebook_version": 0,
                "decode_mode": "quantlut_sym", "skip_list": list(skip) or None,
                "split_for_tp": False, "td_x": 16, "td_y": 16, "tlut_bits": 9}}
        for projection, own in (bits_of or {}).items():
            self.config["quip_params"][f"K_{projection}_proj"] = own
        self.tensors = {"model.embed_tokens.weight": self.plain(HIDDEN * 4, HIDDEN),
                        "model.norm.weight": self.plain(HIDDEN),
                        "lm_head.weight": self.plain(HIDDEN * 4, HIDDEN)}
        for layer in range(layers):
            for name, shape in SHAPES.items():
                prefix = f"model.layers.{layer}.{name}."
                projection = name.split(".")[1][:-len("_proj")]
                if f"{layer}_{projection}" in skip:
                    self.tensors[prefix + "weight"] = self.plain(*shape)
                else:
                    self.add_linear(prefix, shape, (bits_of or {}).get(projection, bits),
                                    side_dtype, rcp)
            self.tensors[f"model.layers.{layer}.input_layernorm.weight"] = self.plain(HIDDEN)

    def set_code(self, decode_mode, vector_dim, state_bits, lut_bits):
        """Makes all linears of another code; lut_bits 0: one without a table."""
        self.config["quip_params"].update(decode_mode=decode_mode, V=vector_dim, L=state_bits,
                                          tlut_bits=lut_bits)
        for name in [name for name in self.tensors if name.endswith(".tlut")]:
            if lut_bits == 0:
                del self.tensors[name]
                continue
            rows = 1 << lut_bits
            self.tensors[name] = ("F16", [rows, vector_dim], floats("F16", [
                self.numbers.gauss(0, 1) for _ in range(rows * vector_dim)]))

    def plain(self, *shape):
        size = 2
        for extent in shape:
            size *= extent
        return "F16", list(shape), bytes(size)

    def add_linear(self, prefix, shape, bits, dtype, rcp):
        out, columns = shape
        tiles = out * columns // 256
        side = lambda n: floats(dtype, [self.numbers.choice((-1, 1)) * self.numbers.uniform(.5, 2)
                                        for _ in range(n)])
        self.tensors.update({
            prefix + "trellis": ("I16", [tiles, 16 * bits], self.numbers.randbytes(32 * bits * tiles)),
            prefix + "SU": (dtype, [columns], side(columns)),
            prefix + "SV": (dtype, [out], side(out)),
            prefix + "tlut": ("F16", [512, 2],
                              floats("F16", [self.numbers.gauss(0, 1) for _ in range(1024)]))})
        if rcp:
            self.tensors.update({prefix + "rcp": scalar(0), prefix + "tp_rank": scalar(8)})

    def linears(self):
        """The tensors of quantized linears."""
        return {name: tensor for name, tensor in self.tensors.items()
                if not name.endswith("weight")}

    def write(self, directory, shards=3):
        """Writes config and tensors, over several files with an index or to a single one."""
        directory = pathlib.Path(directory)
        directory.mkdir()
        (directory / "config.json").write_text(json.dumps(self.config))
        if shards == 1:
            write_safetensors(directory / "model.safetensors", self.tensors)
            return directory
        files = [f"model-{i + 1:05}-of-{shards:05}.safetensors" for i in range(shards)]
        place = {name: files[i % shards] for i, name in enumerate(self.tensors)}
        for file in files:
            write_safetensors(directory / file, {name: self.tensors[name]
                                                 for name in self.tensors if place[name] == file})
        (directory / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": place}))
        return directory


def write_sparse_model(directory, linears, shards, side, bits):
    """A directory of square linears that takes no room on the disk: all of them are zeros."""
    directory = pathlib.Path(directory)
    directory.mkdir()
    config = {"num_hidden_layers": linears, "quip_params": {
        "K": bits, "L": 16, "V": 2, "codebook": "bitshift", "decode_mode": "quantlut_sym",
        "tlut_bits": 9}}
    (directory / "config.json").write_text(json.dumps(config))
    tensors = {"trellis": ("I16", [side * side // 256, 16 * bits]), "SU": ("F16", [side]),
               "SV": ("F16", [side]), "tlut": ("F16", [512, 2])}
    place = {}
    for shard in range(shards):
        file = f"model-{shard + 1:05}-of-{shards:05}.safetensors"
        header, end = {}, 0
        for layer in range(shard, linears, shards):
            for name, (dtype, shape) in tensors.items():
                full = f"model.layers.{layer}.mlp.gate_proj.{name}"
                begin, end = end, end + 2 * math.prod(shape)
                header[full] = {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}
                place[full] = file
        text = json.dumps(header).encode()
        (directory / file).write_bytes(struct.pack("<Q", len(text)) + text)
        os.truncate(directory / file, 8 + len(text) + end)
    (directory / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": place}))
    return directory


def read_model(directory):
    """Config and tensors of a directory that was written by somebody else."""
    directory = pathlib.Path(directory)
    config = json.loads((directory / "config.json").read_text())
    if not (directory / INDEX).exists():
        return config, read_safetensors(directory / "model.safetensors")
    place = json.loads((directory / INDEX).read_text())["weight_map"]
    files = {file: read_safetensors(directory / file) for file in set(place.values())}
    return config, {name: files[file][name] for name, file in place.items()}
