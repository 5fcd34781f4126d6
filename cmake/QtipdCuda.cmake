# Decides whether the CUDA backend is built and for which GPUs, and says so.

# What a release carries: the one list of it, which tests/build/check_cuda_architectures.py holds the
# documents and scripts to. "real" is machine code: each runs on GPUs of its major version from its
# minor one on. "virtual" is PTX, which the driver translates for GPUs that none of the others runs
# on, newer ones: of 9.0, the first with clusters and overlapping grids. The kernels' sources use
# nothing that came later, and later PTX would serve fewer GPUs.
set(QTIPD_RELEASE_CUDA_ARCHITECTURES 80-real 86-real 89-real 90-real 100-real 120-real 90-virtual)
# A development build carries one, the one that the kernels are tuned for.
set(QTIPD_DEVELOPMENT_CUDA_ARCHITECTURES 90-real)
option(QTIPD_CUDA_RELEASE "Compile the CUDA backend for every GPU that a release serves" OFF)

set(QTIPD_HAVE_CUDA OFF)
if(NOT QTIPD_ENABLE_CUDA STREQUAL "OFF")
  include(CheckLanguage)
  if(NOT CMAKE_CUDA_COMPILER AND NOT DEFINED ENV{CUDACXX})
    find_program(QTIPD_NVCC nvcc HINTS /usr/local/cuda/bin)
    if(QTIPD_NVCC)
      set(CMAKE_CUDA_COMPILER ${QTIPD_NVCC})
    endif()
  endif()
  check_language(CUDA)
  if(CMAKE_CUDA_COMPILER)
    set(QTIPD_HAVE_CUDA ON)
  elseif(QTIPD_ENABLE_CUDA STREQUAL "ON")
    message(FATAL_ERROR "QTIPD_ENABLE_CUDA is ON but no CUDA compiler was found; put nvcc on the PATH "
                        "or set CUDACXX")
  endif()
endif()

if(QTIPD_HAVE_CUDA)
  if(NOT CMAKE_CUDA_ARCHITECTURES AND "$ENV{CUDAARCHS}" STREQUAL "")
    unset(ENV{CUDAARCHS})  # empty and set, it would count
    if(QTIPD_CUDA_RELEASE)
      set(CMAKE_CUDA_ARCHITECTURES ${QTIPD_RELEASE_CUDA_ARCHITECTURES})
    else()
      set(CMAKE_CUDA_ARCHITECTURES ${QTIPD_DEVELOPMENT_CUDA_ARCHITECTURES})
    endif()
    set(CMAKE_CUDA_ARCHITECTURES ${CMAKE_CUDA_ARCHITECTURES} CACHE STRING "CUDA architectures" FORCE)
  endif()
  enable_language(CUDA)
  # Names alone: the module tells what it carries (kernels/cuda/device_code.h).
  foreach(architecture IN LISTS CMAKE_CUDA_ARCHITECTURES)
    if(NOT architecture MATCHES "^[0-9]+(-real|-virtual)?$")
      message(FATAL_ERROR "CMAKE_CUDA_ARCHITECTURES: got '${architecture}', allowed: NN-real (machine code), "
                          "NN-virtual (PTX), NN (both), such as 90-real")
    endif()
  endforeach()
  # Sources with instructions that only 9.0 has, and no later GPU, are machine code for it alone
  # (90a); where it is not served, they are compiled without what they are for, and never chosen.
  set(QTIPD_WARPGROUP_ARCHITECTURES ${CMAKE_CUDA_ARCHITECTURES})
  set(QTIPD_HAVE_WARPGROUP_MMA 0)
  if(CMAKE_CUDA_ARCHITECTURES MATCHES "(^|;)90(-real)?(;|$)")
    set(QTIPD_WARPGROUP_ARCHITECTURES 90a-real)
    set(QTIPD_HAVE_WARPGROUP_MMA 1)
  endif()
  # By hand: CMake 3.25 does not know that nvcc 13 has this dialect.
  set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
  set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
  set(CMAKE_CUDA_STANDARD 20)
  set(CMAKE_CUDA_RUNTIME_LIBRARY Static)
  if(QTIPD_CUDA_RELEASE AND CMAKE_CUDA_COMPILER_VERSION VERSION_GREATER_EQUAL 13)
    # A quarter of the size for a second more a file; every driver that runs CUDA 13 reads it.
    add_compile_options($<$<COMPILE_LANGUAGE:CUDA>:--compress-mode=size>)
  endif()
  find_package(CUDAToolkit REQUIRED)
  message(STATUS "qtipd: CUDA backend with ${CMAKE_CUDA_COMPILER} ${CMAKE_CUDA_COMPILER_VERSION}, "
                 "architectures ${CMAKE_CUDA_ARCHITECTURES}")
else()
  message(STATUS "qtipd: CPU backend only (no CUDA compiler, or QTIPD_ENABLE_CUDA=OFF)")
endif()
