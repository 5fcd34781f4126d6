# qtipd_proto_library(<name> IMPORT_DIR <dir> PROTOS ... GRPC_PROTOS ... [DEPS ...]): a static library
# of generated messages, and services for GRPC_PROTOS.
function(qtipd_proto_library name)
  cmake_parse_arguments(arg "" "IMPORT_DIR" "PROTOS;GRPC_PROTOS;DEPS" ${ARGN})
  set(out ${PROJECT_BINARY_DIR}/generated/proto)
  file(MAKE_DIRECTORY ${out})
  set(sources)
  foreach(proto IN LISTS arg_PROTOS arg_GRPC_PROTOS)
    string(REGEX REPLACE "\\.proto$" "" stem ${proto})
    set(outputs ${out}/${stem}.pb.cc ${out}/${stem}.pb.h)
    set(flags --cpp_out=${out})
    if(proto IN_LIST arg_GRPC_PROTOS)
      list(APPEND outputs ${out}/${stem}.grpc.pb.cc ${out}/${stem}.grpc.pb.h)
      list(APPEND flags --grpc_out=${out}
           --plugin=protoc-gen-grpc=$<TARGET_FILE:gRPC::grpc_cpp_plugin>)
    endif()
    add_custom_command(
      OUTPUT ${outputs}
      COMMAND protobuf::protoc -I${arg_IMPORT_DIR} ${flags} ${arg_IMPORT_DIR}/${proto}
      DEPENDS ${arg_IMPORT_DIR}/${proto}
      COMMENT "Generating ${proto}")
    list(APPEND sources ${outputs})
  endforeach()
  add_library(qtipd_${name} STATIC ${sources})
  add_library(qtipd::${name} ALIAS qtipd_${name})
  target_include_directories(qtipd_${name} SYSTEM PUBLIC ${out})
  target_link_libraries(qtipd_${name} PUBLIC protobuf::libprotobuf gRPC::grpc++ ${arg_DEPS})
  if(QTIPD_SANITIZE)
    target_link_libraries(qtipd_${name} PUBLIC qtipd_options)
  endif()
endfunction()
