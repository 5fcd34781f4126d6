#!/usr/bin/python3
"""shellcheck has nothing to say about the project's shell scripts, and they refuse what they do not know."""

import subprocess

from deploy_test import ROOT, need, run


def shell_scripts():
    candidates = [*(ROOT / "script").iterdir(), *(ROOT / ".ci").iterdir(), *(ROOT / "deploy").rglob("*")]
    for path in sorted(path for path in candidates if path.is_file()):
        first = path.read_bytes().split(b"\n", 1)[0]
        if path.suffix == ".sh" or (first.startswith(b"#!") and first.endswith(b"sh")):
            yield path


def check_refusal(script, *arguments):
    done = subprocess.run([ROOT / "script" / script, *arguments], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2, f"{script}: {done.returncode}"
    assert f"got '{arguments[-1]}', allowed" in done.stderr, done.stderr


def main():
    scripts = list(shell_scripts())
    assert len(scripts) >= 7, scripts
    check_refusal("build", "nonsense")
    check_refusal("package", "asan")
    check_refusal("install-deps", "--nonsense")
    check_refusal("make-sysroot", "nonsense")
    check_refusal("demo", "--nonsense")
    check_refusal("demo", "--size", "0")
    print(run(need("shellcheck", "shellcheck"), *scripts))


if __name__ == "__main__":
    main()
