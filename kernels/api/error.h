// Errors that carry a frozen machine-readable reason beside their text.
//
// Every Status that can reach a user is made here, so that the transport can attach a
// google.rpc.ErrorInfo (AIP-193) without parsing messages. Below the transport nothing knows gRPC.
#ifndef QTIPD_KERNELS_API_ERROR_H_
#define QTIPD_KERNELS_API_ERROR_H_

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

namespace qtipd {

// What the transport puts into google.rpc.ErrorInfo. `reason` is UPPER_SNAKE and never changes once
// released; docs/errors.md lists them all.
struct ErrorInfo {
  std::string reason;
  std::map<std::string, std::string> metadata;
};

// Returns a Status of `code` with `message` and an attached ErrorInfo.
absl::Status MakeError(absl::StatusCode code, std::string_view reason, std::string_view message,
                       std::map<std::string, std::string> metadata = {});

// Returns an error about one input field; its message reads "<field>: got <got>, allowed <allowed>"
// and its metadata holds `field`, `got` and `allowed`.
absl::Status FieldError(absl::StatusCode code, std::string_view reason, std::string_view field,
                        std::string_view got, std::string_view allowed);

// FieldError with code InvalidArgument, the usual case.
absl::Status InvalidField(std::string_view reason, std::string_view field, std::string_view got,
                          std::string_view allowed);

// Returns the ErrorInfo attached to `status`. A Status without one gets its canonical code's name as
// the reason (for example "INTERNAL").
ErrorInfo GetErrorInfo(const absl::Status& status);

// Returns up to three of `known` that are nearest to `name` by edit distance, nearest first; for
// "did you mean" texts.
std::vector<std::string> NearestNames(std::string_view name, const std::vector<std::string>& known);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_API_ERROR_H_
