#include "server/transport/grpc_log.h"

#include <grpc/support/log.h>
#include <spdlog/spdlog.h>

#include "server/base/log_text.h"

namespace qtipd {

void RouteGrpcLog() {
  gpr_set_log_function([](gpr_log_func_args* arguments) {
    spdlog::debug("grpc_log severity={} file={} line={} message={}",
                  gpr_log_severity_string(arguments->severity), arguments->file, arguments->line,
                  LogText(arguments->message));
  });
}

}  // namespace qtipd
