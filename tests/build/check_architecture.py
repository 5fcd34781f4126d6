#!/usr/bin/python3
"""Holds the source tree to its layers: transport -> service -> engine -> kernels.

usage: check_architecture.py ROOT

Reads the sources and the CMake files under ROOT and prints one line for every violation:

  include   a file includes one of ours from a folder that its own may not use
  link      a folder's CMakeLists.txt names a library of such a folder, or one that nobody defines
  name      code names a thing of a layer above it (gRPC, Protocol Buffers, Prometheus, SQLite)
  cycle     the table below itself does not point down only

Exit status: 0 without violations, 1 with, 2 where there is nothing to check.
"""

import pathlib
import re
import sys

# What each folder may use, beside itself. A folder stands for everything below it that has no row of
# its own; "*" stands for one folder name, and a folder under "*" may not use its siblings.
MAY_USE = {
    "kernels/api": [],
    "kernels/io": ["kernels/api"],
    # io lies below the devices: files and what the system says of the host.
    "kernels/cpu": ["kernels/api", "kernels/io"],
    "kernels/cuda": ["kernels/api"],
    "kernels/formats/*": ["kernels/api", "kernels/io", "kernels/cpu", "kernels/cuda"],
    "kernels/formats": ["kernels/api", "kernels/formats/*"],
    "kernels/paths": ["kernels/api"],
    "kernels/cuda/module": ["kernels/api", "kernels/cuda", "kernels/formats/*"],
    "proto": [],
    "server/base": ["kernels/api"],
    # What the devices and the host say of themselves.
    "server/telemetry": ["kernels/api", "kernels/io", "server/base"],
    # Counters and the messages about them; the helper process on top may use what a job may.
    "server/profiler": ["kernels/api", "kernels/io", "server/base"],
    "server/engine": ["kernels/api", "kernels/io", "server/base", "server/profiler",
                      "server/telemetry"],
    "server/profiler/program": ["kernels/api", "kernels/io", "kernels/cpu", "kernels/formats",
                                "kernels/paths", "server/base", "server/engine", "server/profiler"],
    "server/metrics": ["kernels/api", "server/base", "server/engine"],
    "server/service": ["kernels/api", "proto", "server/base", "server/engine", "server/profiler"],
    "server/transport": ["kernels/api", "proto", "server/base", "server/engine", "server/metrics",
                         "server/service"],
    # The daemon builds the object graph: it alone knows every part.
    "server": ["kernels/api", "kernels/io", "kernels/cpu", "kernels/formats", "kernels/paths", "proto",
               "server/base", "server/engine", "server/metrics", "server/service", "server/telemetry",
               "server/transport"],
    # The client and the server share the protocol and the file reader, nothing else.
    "client": ["kernels/api", "kernels/io", "proto", "server/base"],
}

# What code may not name, comments apart, in any spelling: folder -> (what, pattern).
RPC = [("gRPC", r"grpc"), ("Protocol Buffers", r"protobuf|\.pb\.h|qtipd/v1/")]
PROMETHEUS = [("Prometheus", r"prometheus")]
SQLITE = [("SQLite", r"sqlite")]
MAY_NOT_NAME = {
    "kernels": RPC + PROMETHEUS + SQLITE,
    "server/base": RPC + PROMETHEUS + SQLITE,
    "server/profiler": RPC + PROMETHEUS + SQLITE,
    "server/telemetry": RPC + PROMETHEUS + SQLITE,
    "server/engine": RPC + PROMETHEUS,
    "server/metrics": [("gRPC", r"grpc::|grpcpp/"), RPC[1]] + SQLITE,
    "server/service": [("gRPC", r"grpc::|grpcpp/")] + PROMETHEUS + SQLITE,
    "server/transport": PROMETHEUS + SQLITE,
    "client": PROMETHEUS + SQLITE,
}

SOURCES = {".h", ".cc", ".cu", ".cuh"}
INCLUDE = re.compile(r'^\s*#\s*include\s+[<"]((?:kernels|server|client)/[^>"]+)[>"]', re.M)
# Strings are kept: a library opened by name is named too.
COMMENT = re.compile(r'("(?:\\.|[^"\\\n])*")|//[^\n]*|/\*.*?\*/', re.S)
LIBRARY = re.compile(r"\b(?:qtipd::|qtipd_)([a-z][a-z0-9_]*)")
DEFINES = re.compile(r"\bqtipd_(library|proto_library|add_weight_format)\(\s*([a-z0-9_]+)")
# Targets that are settings, and the functions of cmake/.
NOT_LIBRARIES = {"options", "library", "proto_library", "add_weight_format", "add_test", "git_commit",
                 "write_registration", "build_id", "package_contents"}


def row_of(path):
    """The row of MAY_USE that a path inside the tree belongs to, and the folder that it stands for."""
    best = (None, None)
    parts = pathlib.PurePosixPath(path).parts
    for row in MAY_USE:
        pattern = row.split("/")
        if len(pattern) < len(parts) and all(p in ("*", q) for p, q in zip(pattern, parts)):
            if best[0] is None or len(pattern) > len(best[0].split("/")):
                best = (row, "/".join(parts[:len(pattern)]))
    return best


def is_allowed(user, used):
    (row, folder), (other_row, other_folder) = row_of(user), row_of(used)
    return row is not None and (folder == other_folder or other_row in MAY_USE[row])


def code_of(path):
    text = path.read_text(encoding="utf-8")
    if path.suffix in SOURCES:
        return COMMENT.sub(lambda match: match.group(1) or " ", text)
    return re.sub(r"#[^\n]*", "", text)


def check_includes(files):
    for name, code in files.items():
        for included in INCLUDE.findall(code):
            if row_of(name)[0] is None:
                yield f"include: {name}: its folder has no row in {pathlib.Path(__file__).name}"
            elif not is_allowed(name, included):
                yield f"include: {name} includes {included}; {row_of(name)[0]} may use " \
                      f"{', '.join(MAY_USE[row_of(name)[0]]) or 'nothing but itself'}"


def defined_libraries(cmake_files):
    """Library name without prefix -> the CMakeLists.txt that defines it."""
    libraries = {}
    for name, code in cmake_files.items():
        for kind, library in DEFINES.findall(code):
            if kind == "add_weight_format":
                libraries["format_" + library] = name
                libraries["format_" + library + "_cuda"] = name
            else:
                libraries[library] = name
        for library in re.findall(r"\badd_library\(\s*qtipd_([a-z0-9_]+)", code):
            libraries[library] = name
    return libraries


def check_links(cmake_files):
    libraries = defined_libraries(cmake_files)
    for name, code in cmake_files.items():
        if row_of(name)[0] is None:
            continue  # it only lists folders
        for library in sorted(set(LIBRARY.findall(code)) - NOT_LIBRARIES):
            if library.endswith("_"):
                continue  # a prefix that the build completes: every format
            if library not in libraries:
                if "qtipd::" + library in code:
                    yield f"link: {name} names qtipd::{library}, which no CMakeLists.txt defines"
            elif not is_allowed(name, libraries[library]):
                yield f"link: {name} names qtipd::{library} of {libraries[library]}; " \
                      f"{row_of(name)[0]} may use {', '.join(MAY_USE[row_of(name)[0]]) or 'nothing'}"


def check_names(files):
    for name, code in files.items():
        for folder, rules in MAY_NOT_NAME.items():
            if not name.startswith(folder + "/"):
                continue
            for what, pattern in rules:
                match = re.search(pattern, code, re.I)
                if match:
                    line = code[code.rfind("\n", 0, match.start()) + 1:].split("\n", 1)[0].strip()
                    yield f"name: {name} names {what}: {line}"


def check_table():
    """Kahn's algorithm: what cannot be taken away in order of use is in a cycle."""
    left = dict(MAY_USE)
    while left:
        lowest = [row for row, uses in left.items() if not any(use in left for use in uses)]
        if not lowest:
            yield f"cycle: {', '.join(sorted(left))}"
            return
        for row in lowest:
            del left[row]


def main():
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    root = pathlib.Path(sys.argv[1])
    paths = [path for top in ("kernels", "server", "client", "proto") for path in (root / top).rglob("*")
             if path.suffix in SOURCES or path.name == "CMakeLists.txt"]
    files = {path.relative_to(root).as_posix(): code_of(path) for path in sorted(paths)}
    sources = {name: code for name, code in files.items() if not name.endswith(".txt")}
    if not sources:
        print(f"no sources under {root}", file=sys.stderr)
        return 2
    cmake_files = {name: code for name, code in files.items() if name.endswith(".txt")}
    violations = [*check_includes(sources), *check_links(cmake_files), *check_names(files), *check_table()]
    print("\n".join(violations))
    print(f"{len(sources)} sources, {len(cmake_files)} CMake files, {len(violations)} violations")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
