# Warnings and sanitizers, as INTERFACE targets that every target of ours links.

add_library(qtipd_options INTERFACE)
target_compile_options(
  qtipd_options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wno-unused-parameter
                          -Wno-missing-field-initializers -Wvla -Wnon-virtual-dtor>)
# GCC 12 reports std::string concatenations that are correct (GCC bug 105651).
target_compile_options(qtipd_options INTERFACE $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-restrict>)
target_include_directories(qtipd_options INTERFACE ${PROJECT_SOURCE_DIR})

if(QTIPD_SANITIZE STREQUAL "address")
  set(qtipd_sanitizers -fsanitize=address,undefined -fno-sanitize-recover=undefined)
elseif(QTIPD_SANITIZE STREQUAL "thread")
  set(qtipd_sanitizers -fsanitize=thread)
elseif(QTIPD_SANITIZE)
  message(FATAL_ERROR "QTIPD_SANITIZE: got '${QTIPD_SANITIZE}', allowed: empty, address, thread")
endif()
if(QTIPD_SANITIZE)
  list(TRANSFORM qtipd_sanitizers REPLACE "(.+)" "$<$<COMPILE_LANGUAGE:CXX,C>:\\1>"
       OUTPUT_VARIABLE qtipd_sanitizer_compile)
  target_compile_options(qtipd_options INTERFACE ${qtipd_sanitizer_compile}
                         $<$<COMPILE_LANGUAGE:CXX,C>:-fno-omit-frame-pointer>)
  target_link_options(qtipd_options INTERFACE ${qtipd_sanitizers})
endif()

# qtipd_library(name SOURCES ... [DEPS public...] [PRIVATE_DEPS ...]): a static library
# `qtipd_<name>` with the alias `qtipd::<name>`.
function(qtipd_library name)
  cmake_parse_arguments(arg "" "" "SOURCES;DEPS;PRIVATE_DEPS" ${ARGN})
  add_library(qtipd_${name} STATIC ${arg_SOURCES})
  add_library(qtipd::${name} ALIAS qtipd_${name})
  target_link_libraries(qtipd_${name} PUBLIC qtipd_options ${arg_DEPS} PRIVATE ${arg_PRIVATE_DEPS})
endfunction()
