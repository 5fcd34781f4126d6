# Google Highway, and which of its instruction sets the kernels are compiled for.
pkg_check_modules(HIGHWAY REQUIRED IMPORTED_TARGET libhwy)

# Not SVE: its vectors have a length that only the processor knows, so that they cannot stand in the
# arrays in which the kernels hold sums. Such a processor runs NEON.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)$")
  target_compile_definitions(
    PkgConfig::HIGHWAY
    INTERFACE "HWY_DISABLED_TARGETS=(HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128)")
endif()
