# Shared by the scripts of this folder: sourced, never run.
# shellcheck shell=bash

QTIPD_ROOT=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
# shellcheck disable=SC2034  # read by the scripts that source this file
readonly QTIPD_ROOT

say() { printf '==> %s\n' "$*" >&2; }

die() {
  printf '%s: error: %s\n' "${0##*/}" "$*" >&2
  exit 2
}

# Prints the comment block at the top of a script.
usage() { sed -n '2,/^[^#]/{s/^# \{0,1\}//p}' "$1"; }

# Runs a command as root, through sudo where the caller is someone else.
as_root() {
  if [[ $(id -u) -eq 0 ]]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo -- "$@"
  else
    die "needs root and found no sudo; as root, run: $*"
  fi
}

# Prints the CUDA compiler's path, or fails: the places that cmake/QtipdCuda.cmake looks at.
find_nvcc() {
  if [[ -n ${CUDACXX:-} ]]; then
    command -v "$CUDACXX"
  else
    command -v nvcc || { [[ -x /usr/local/cuda/bin/nvcc ]] && echo /usr/local/cuda/bin/nvcc; }
  fi
}

# Prints the first GPU's compute capability without its dot ("90"), or fails where no GPU answers.
gpu_architecture() {
  local capability
  capability=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | head -n 1)
  [[ $capability =~ ^[0-9]+\.[0-9]+$ ]] && echo "${capability/./}"
}

# Prints how many compilers to run at once: one per core, and 2 GiB of memory for each.
build_jobs() {
  local cores memory_kib by_memory
  cores=$(nproc)
  memory_kib=$(awk '/^MemAvailable:/ { print $2 }' /proc/meminfo 2>/dev/null)
  by_memory=$((${memory_kib:-0} / (2 * 1024 * 1024)))
  if ((by_memory >= 1 && by_memory < cores)); then echo "$by_memory"; else echo "$cores"; fi
}
