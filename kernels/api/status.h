// Early-return macros over absl::Status and absl::StatusOr.
#ifndef QTIPD_KERNELS_API_STATUS_H_
#define QTIPD_KERNELS_API_STATUS_H_

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#define QTIPD_CONCAT_INNER(a, b) a##b
#define QTIPD_CONCAT(a, b) QTIPD_CONCAT_INNER(a, b)

#define QTIPD_RETURN_IF_ERROR(expression)                               \
  do {                                                                  \
    if (absl::Status qtipd_status = (expression); !qtipd_status.ok()) { \
      return qtipd_status;                                              \
    }                                                                   \
  } while (false)

#define QTIPD_ASSIGN_OR_RETURN_INNER(temporary, lhs, expression) \
  auto temporary = (expression);                                 \
  if (!temporary.ok()) return temporary.status();                \
  lhs = std::move(temporary).value()

#define QTIPD_ASSIGN_OR_RETURN(lhs, expression) \
  QTIPD_ASSIGN_OR_RETURN_INNER(QTIPD_CONCAT(qtipd_status_or_, __LINE__), lhs, expression)

#endif  // QTIPD_KERNELS_API_STATUS_H_
