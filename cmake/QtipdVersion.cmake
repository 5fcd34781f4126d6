# What a binary says about its build: the version, the git commit (asked at build time) and the id
# that a daemon and its backend modules must share.

file(GLOB qtipd_api_headers CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/kernels/api/*.h)
list(SORT qtipd_api_headers)
set(qtipd_api_text "")
foreach(header IN LISTS qtipd_api_headers)
  file(SHA256 ${header} hash)
  string(APPEND qtipd_api_text ${hash})
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${header})
endforeach()
string(SHA256 qtipd_api_hash "${qtipd_api_text}")
string(SUBSTRING ${qtipd_api_hash} 0 16 qtipd_api_hash)
set(QTIPD_BACKEND_BUILD_ID "${PROJECT_VERSION}+api.${qtipd_api_hash}")

# Writes ${PROJECT_BINARY_DIR}/generated/git_commit.inc, touched only when the commit changes.
set(QTIPD_GENERATED_DIR ${PROJECT_BINARY_DIR}/generated)
add_custom_target(
  qtipd_git_commit
  COMMAND ${CMAKE_COMMAND} -DSOURCE_DIR=${PROJECT_SOURCE_DIR}
          -DOUTPUT=${QTIPD_GENERATED_DIR}/git_commit.inc -P ${PROJECT_SOURCE_DIR}/cmake/WriteGitCommit.cmake
  BYPRODUCTS ${QTIPD_GENERATED_DIR}/git_commit.inc
  COMMENT "Reading the git commit")
