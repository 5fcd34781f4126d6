# qtipd_add_header_objects(<target> [LANGUAGE CXX|CUDA] HEADERS ... [DEPS ...]): an object library with
# one translation unit a header, which includes that header and nothing else. A header that leans on
# what its users happen to include does not compile.
function(qtipd_add_header_objects target)
  cmake_parse_arguments(arg "" "LANGUAGE" "HEADERS;DEPS" ${ARGN})
  if(arg_LANGUAGE STREQUAL "CUDA")
    set(extension cu)
  else()
    set(extension cc)
  endif()
  set(sources)
  foreach(header IN LISTS arg_HEADERS)
    string(MAKE_C_IDENTIFIER ${header} stem)
    set(source ${CMAKE_CURRENT_BINARY_DIR}/${target}/${stem}.${extension})
    # Twice: the second time its include guard must hold.
    file(CONFIGURE OUTPUT ${source} CONTENT "#include \"${header}\"\n#include \"${header}\"\n")
    list(APPEND sources ${source})
  endforeach()
  add_library(${target} OBJECT ${sources})
  target_link_libraries(${target} PRIVATE qtipd_options ${arg_DEPS})
  target_compile_options(${target} PRIVATE -O0 -g0)
endfunction()
