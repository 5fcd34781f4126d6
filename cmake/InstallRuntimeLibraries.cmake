# Run by `cmake --install` after the binaries are in place: copies the shared libraries that they need
# into bin/, with the run path $ORIGIN so that they find each other, and their licences into licenses/.
# Reads QTIPD_ELF_FILES (the built binaries), QTIPD_PATCHELF, QTIPD_STRIP.

if(NOT QTIPD_PATCHELF)
  message(FATAL_ERROR "patchelf was not found when the build was configured; without it the installed "
                      "libraries do not find each other. Install it and configure again.")
endif()

set(executables)
set(modules)
foreach(file IN LISTS QTIPD_ELF_FILES)
  if(file MATCHES "\\.so$")
    list(APPEND modules ${file})
  else()
    list(APPEND executables ${file})
  endif()
endforeach()

# The C library's own parts, and what only NVIDIA's driver and toolkit may bring.
set(host_libraries
    "^ld-linux" "^linux-vdso" "^lib(c|m|dl|rt|pthread|util|resolv|nsl|anl)\\.so"
    "^lib(cuda|cublas|cublasLt|cudart|cupti|nvidia-ml|nccl|nvJitLink|nvrtc)\\.so")
file(GET_RUNTIME_DEPENDENCIES
     EXECUTABLES ${executables}
     MODULES ${modules}
     RESOLVED_DEPENDENCIES_VAR resolved
     UNRESOLVED_DEPENDENCIES_VAR unresolved
     PRE_EXCLUDE_REGEXES ${host_libraries})
if(unresolved)
  message(FATAL_ERROR "not found on this machine, so not installable: ${unresolved}")
endif()

set(prefix "$ENV{DESTDIR}${CMAKE_INSTALL_PREFIX}")
file(MAKE_DIRECTORY ${prefix}/bin ${prefix}/licenses)
find_program(dpkg_query dpkg-query)
foreach(library IN LISTS resolved)
  # Under the name that the loader asks for, whatever chain of links leads to the file here.
  get_filename_component(name ${library} NAME)
  file(REAL_PATH ${library} source)
  set(target ${prefix}/bin/${name})
  message(STATUS "Installing: ${target}")
  file(COPY_FILE ${source} ${target})
  execute_process(COMMAND ${QTIPD_STRIP} --strip-unneeded ${target} COMMAND_ERROR_IS_FATAL ANY)
  execute_process(COMMAND ${QTIPD_PATCHELF} --set-rpath $ORIGIN ${target} COMMAND_ERROR_IS_FATAL ANY)
  if(dpkg_query)
    # Merged /usr: the package may list the file under either spelling.
    string(REGEX REPLACE "^/usr/lib/" "/lib/" short ${source})
    execute_process(COMMAND ${dpkg_query} -S ${source} ${short}
                    OUTPUT_VARIABLE owner ERROR_QUIET)
    if(owner MATCHES "^([^:]+):")
      set(package ${CMAKE_MATCH_1})
      if(EXISTS /usr/share/doc/${package}/copyright)
        file(REAL_PATH /usr/share/doc/${package}/copyright copyright)
        file(COPY_FILE ${copyright} ${prefix}/licenses/${package})
      endif()
    endif()
  endif()
endforeach()
