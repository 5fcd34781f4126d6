# Cross-compiles for 64-bit Arm with the distribution's compiler, against the libraries of
# CMAKE_SYSROOT, which `script/install-deps --aarch64` lays out; tests run under qemu-user.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)

if(NOT CMAKE_SYSROOT)
  get_filename_component(CMAKE_SYSROOT ${CMAKE_CURRENT_LIST_DIR}/../../build/aarch64-sysroot ABSOLUTE)
endif()
if(NOT EXISTS ${CMAKE_SYSROOT}/usr/include)
  message(FATAL_ERROR "CMAKE_SYSROOT: got '${CMAKE_SYSROOT}', which has no usr/include; "
                      "script/install-deps --aarch64 makes build/aarch64-sysroot")
endif()

set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)

# OpenBLAS lies in a folder of its own, to which an installed system has links.
set(qtipd_sysroot_libraries ${CMAKE_SYSROOT}/usr/lib/aarch64-linux-gnu)
set(ENV{PKG_CONFIG_SYSROOT_DIR} ${CMAKE_SYSROOT})
set(ENV{PKG_CONFIG_LIBDIR}
    ${qtipd_sysroot_libraries}/pkgconfig:${qtipd_sysroot_libraries}/openblas-pthread/pkgconfig:${CMAKE_SYSROOT}/usr/share/pkgconfig)

# Not qemu's own model, which has SVE: OpenBLAS would choose kernels of it, slow to emulate. This one
# is the Armv8.0 that NEON came with.
find_program(QTIPD_QEMU_AARCH64 NAMES qemu-aarch64 qemu-aarch64-static REQUIRED)
set(CMAKE_CROSSCOMPILING_EMULATOR
    ${QTIPD_QEMU_AARCH64};-cpu;cortex-a72;-L;${CMAKE_SYSROOT})
