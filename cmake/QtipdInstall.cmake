# cmake --install and CPack: one relocatable folder, libraries beside the binaries.
#
#   bin/       qtipd, qtipctl, qtip-profiler, libqtipd_cuda.so, and every shared library that they
#              need and a minimal system lacks. Each ELF file's run path is $ORIGIN.
#   licenses/  the notices of those libraries
#   deploy/ docs/ proto/ LICENSE README.md
#
# Left to the host: the C library (so that the host's name services and loader fit it), and NVIDIA's
# driver and toolkit. libstdc++ is taken along: the host's may be older than the build's.
# cmake/InstallRuntimeLibraries.cmake does the copying, at install time.

set(CMAKE_SKIP_INSTALL_ALL_DEPENDENCY TRUE)  # installing needs what it installs, not the tests

set(qtipd_install_programs)
foreach(program qtipd qtipctl qtip-profiler)
  if(TARGET ${program})
    list(APPEND qtipd_install_programs ${program})
  endif()
endforeach()
set(qtipd_install_modules)
if(TARGET qtipd_cuda)
  list(APPEND qtipd_install_modules qtipd_cuda)
endif()
add_custom_target(qtipd_package_contents DEPENDS ${qtipd_install_programs} ${qtipd_install_modules})

if(qtipd_install_programs)
  set_target_properties(${qtipd_install_programs} PROPERTIES INSTALL_RPATH "$ORIGIN")
  install(TARGETS ${qtipd_install_programs} RUNTIME DESTINATION bin)
endif()
if(qtipd_install_modules)
  # cuBLAS is the host's: wherever its loader looks, and where NVIDIA's packages put it.
  set_target_properties(
    ${qtipd_install_modules}
    PROPERTIES INSTALL_RPATH
               "$ORIGIN:/usr/local/cuda/lib64:/usr/local/cuda/targets/${CMAKE_SYSTEM_PROCESSOR}-linux/lib")
  install(TARGETS ${qtipd_install_modules} LIBRARY DESTINATION bin)
endif()

find_program(QTIPD_PATCHELF patchelf)
set(qtipd_elf_files)
foreach(target IN LISTS qtipd_install_programs qtipd_install_modules)
  list(APPEND qtipd_elf_files $<TARGET_FILE:${target}>)
endforeach()
install(
  CODE "
    set(QTIPD_ELF_FILES \"${qtipd_elf_files}\")
    set(QTIPD_PATCHELF \"${QTIPD_PATCHELF}\")
    set(QTIPD_STRIP \"${CMAKE_STRIP}\")
    set(CMAKE_GET_RUNTIME_DEPENDENCIES_PLATFORM linux+elf)
    set(CMAKE_GET_RUNTIME_DEPENDENCIES_TOOL objdump)
    set(CMAKE_GET_RUNTIME_DEPENDENCIES_COMMAND \"${CMAKE_OBJDUMP}\")")
install(SCRIPT ${PROJECT_SOURCE_DIR}/cmake/InstallRuntimeLibraries.cmake)

install(FILES LICENSE DESTINATION .)
install(FILES README.md DESTINATION . OPTIONAL)
install(DIRECTORY deploy proto DESTINATION . PATTERN CMakeLists.txt EXCLUDE)
install(DIRECTORY docs DESTINATION .)

set(CPACK_GENERATOR TGZ)
set(CPACK_PACKAGE_NAME qtipd)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
string(TOLOWER ${CMAKE_SYSTEM_NAME} qtipd_system)
set(CPACK_PACKAGE_FILE_NAME qtipd-${PROJECT_VERSION}-${qtipd_system}-${CMAKE_SYSTEM_PROCESSOR})
if(qtipd_install_modules)
  string(APPEND CPACK_PACKAGE_FILE_NAME -cuda)
  # The GPUs, where they are not those of a release.
  if(NOT CMAKE_CUDA_ARCHITECTURES STREQUAL QTIPD_RELEASE_CUDA_ARCHITECTURES)
    list(JOIN CMAKE_CUDA_ARCHITECTURES - qtipd_architectures)
    string(REPLACE -real "" qtipd_architectures ${qtipd_architectures})
    string(APPEND CPACK_PACKAGE_FILE_NAME -${qtipd_architectures})
  endif()
endif()
set(CPACK_INCLUDE_TOPLEVEL_DIRECTORY ON)
set(CPACK_STRIP_FILES ON)
set(CPACK_VERBATIM_VARIABLES ON)
include(CPack)
