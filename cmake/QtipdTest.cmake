# qtipd_add_test(<stem> SOURCES ... [DEPS ...] [LABELS unit|conformance|gpu|e2e...] [TIMEOUT 60])
# A GoogleTest executable whose tests CTest lists one by one; QTIPD_GOLDEN_DIR is defined.
find_package(GTest CONFIG REQUIRED)
include(GoogleTest)

# What every test of this build has in its environment, beside its own.
set(QTIPD_TEST_ENVIRONMENT)
if(QTIPD_SANITIZE STREQUAL "thread")
  set(QTIPD_TEST_ENVIRONMENT
      TSAN_OPTIONS=suppressions=${PROJECT_SOURCE_DIR}/tests/tsan_suppressions.txt)
endif()

function(qtipd_add_test stem)
  cmake_parse_arguments(arg "" "TIMEOUT" "SOURCES;DEPS;LABELS" ${ARGN})
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 60)
  endif()
  if(QTIPD_SANITIZE OR CMAKE_CROSSCOMPILING_EMULATOR)
    math(EXPR arg_TIMEOUT "${arg_TIMEOUT} * 10")
  endif()
  if(NOT arg_LABELS)
    set(arg_LABELS unit)
  endif()
  add_executable(${stem} ${arg_SOURCES})
  target_link_libraries(${stem} PRIVATE qtipd_options ${arg_DEPS} GTest::gtest_main GTest::gmock)
  target_compile_definitions(${stem} PRIVATE QTIPD_GOLDEN_DIR="${PROJECT_SOURCE_DIR}/tests/golden")
  set_target_properties(${stem} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
  set(environment)
  if(QTIPD_TEST_ENVIRONMENT)
    set(environment ENVIRONMENT ${QTIPD_TEST_ENVIRONMENT})
  endif()
  gtest_discover_tests(${stem} DISCOVERY_TIMEOUT 60 PROPERTIES LABELS "${arg_LABELS}"
                       TIMEOUT ${arg_TIMEOUT} ${environment})
endfunction()
