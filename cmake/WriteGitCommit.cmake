# Run as a script: writes the commit of SOURCE_DIR as a C string literal to OUTPUT.
set(commit "unknown")
execute_process(
  COMMAND git describe --always --dirty --abbrev=12 --exclude=*
  WORKING_DIRECTORY ${SOURCE_DIR} OUTPUT_VARIABLE described RESULT_VARIABLE failed
  OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
if(NOT failed)
  set(commit ${described})
elseif(DEFINED ENV{QTIPD_GIT_COMMIT})
  set(commit $ENV{QTIPD_GIT_COMMIT})
endif()
set(text "\"${commit}\"\n")
if(EXISTS ${OUTPUT})
  file(READ ${OUTPUT} old)
endif()
if(NOT "${old}" STREQUAL "${text}")
  file(WRITE ${OUTPUT} ${text})
endif()
