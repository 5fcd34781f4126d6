#!/usr/bin/python3
"""Checks that the GPUs a release serves are listed in one place and that every document says the same.

usage: check_cuda_architectures.py ROOT

The list is QTIPD_RELEASE_CUDA_ARCHITECTURES in cmake/QtipdCuda.cmake. Violations, one a line:
  list      a file repeats it, in CMake's names (80-real;...), and differs
  document  a document names machine code (sm_80, sm_86, ...) or PTX of a release that it does not have,
            or docs/operations.md does not name them at all

Exit status: 0 without violations, 1 with, 2 where there is no list.
"""

import pathlib
import re
import sys

HOME = "cmake/QtipdCuda.cmake"
PLACE = "docs/operations.md"
FOLDERS = ("cmake", "deploy", "docs", "script", "tests/kernels")
FILES = ("CMakeLists.txt", "CMakePresets.json", "CONTRIBUTING.md", "Dockerfile", "README.md")
TEXT = {"", ".cc", ".cmake", ".json", ".md", ".sh", ".toml", ".txt", ".yaml", ".yml"}

NAME = r"\d+-(?:real|virtual)"
# Two names are an example; three are a list.
LIST = re.compile(rf"{NAME}(?:[;, ]\s*{NAME}){{2,}}")
SPOKEN = re.compile(r"`?sm_\d+`?(?:(?:, | and )`?sm_\d+`?){2,}(?: and the PTX `?compute_\d+`?)?")


def release_list(root):
    text = (root / HOME).read_text(encoding="utf-8")
    found = re.search(r"^set\(QTIPD_RELEASE_CUDA_ARCHITECTURES ([^)]*)\)", text, re.M)
    return found.group(1).split() if found else []


def spoken(names):
    """As documents have it: sm_80, sm_86 and the PTX compute_90."""
    real = [f"sm_{name[:-5]}" for name in names if name.endswith("-real")]
    ptx = [f"compute_{name[:-8]}" for name in names if name.endswith("-virtual")]
    return ", ".join(real) + "".join(f" and the PTX {name}" for name in ptx)


def files(root):
    for name in FILES:
        if (root / name).is_file():
            yield name
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*")):
            if path.is_file() and path.suffix in TEXT:
                yield path.relative_to(root).as_posix()


def check(root, names):
    sentence = spoken(names)
    is_named = False
    for name in files(root):
        text = (root / name).read_text(encoding="utf-8")
        if name != HOME:
            for found in LIST.findall(text):
                if re.split(r"[;, ]\s*", found) != names:
                    yield f"list: {name} has {found}, {HOME} {' '.join(names)}"
        if not name.endswith(".md"):
            continue
        for found in SPOKEN.findall(text.replace("\n", " ")):
            plain = found.replace("`", "")
            is_named |= name == PLACE and plain == sentence
            if plain not in (sentence, sentence.split(" and the PTX")[0]):
                yield f"document: {name} says {plain}, a release has {sentence}"
    if not is_named:
        yield f"document: {PLACE} does not say {sentence}"


def main():
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    root = pathlib.Path(sys.argv[1])
    names = release_list(root)
    if not names:
        print(f"no list in {HOME}", file=sys.stderr)
        return 2
    violations = list(check(root, names))
    print("\n".join(violations))
    print(f"{spoken(names)}, {len(violations)} violations")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
