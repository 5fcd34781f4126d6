#include "server/service/status_proto.h"

#include <cstddef>
#include <cstdint>

#include "google/rpc/error_details.pb.h"
#include "kernels/api/error.h"

namespace qtipd {
namespace {

constexpr size_t kMessageLimit = 1024;
constexpr size_t kValueLimit = 256;
constexpr size_t kMetadataLimit = 8;  // entries

// Seconds after which a retry may succeed; 0 where it never does by itself.
int RetrySeconds(std::string_view reason) {
  if (reason == "QUEUE_FULL") return 5;
  if (reason == "CATALOGUE_BUSY") return 5;
  if (reason == "SERVER_DRAINING") return 10;
  return 0;
}

// Length of the valid UTF-8 character at the start of `text`, 0 if there is none (RFC 3629).
size_t CharacterLength(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t lead = byte(0);
  if (lead < 0x80) return 1;
  const size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  const bool is_overlong = (lead == 0xE0 && byte(1) < 0xA0) || (lead == 0xF0 && byte(1) < 0x90);
  const bool is_surrogate = lead == 0xED && byte(1) > 0x9F;
  const bool is_beyond = lead == 0xF4 && byte(1) > 0x8F;
  return is_overlong || is_surrogate || is_beyond ? 0 : length;
}

}  // namespace

std::string CleanText(std::string_view text, size_t limit) {
  constexpr std::string_view kEllipsis = "...";
  std::string clean;
  size_t cut = 0;  // where the text ends if the ellipsis must still fit
  for (size_t i = 0; i < text.size();) {
    const size_t length = CharacterLength(text.substr(i));
    clean.append(length == 0 ? std::string_view("?") : text.substr(i, length));
    i += length == 0 ? 1 : length;
    if (clean.size() + kEllipsis.size() <= limit) cut = clean.size();
    if (clean.size() > limit) return clean.substr(0, cut).append(kEllipsis);
  }
  return clean;
}

google::rpc::Status ToProto(const absl::Status& status) {
  google::rpc::Status proto;
  if (status.ok()) return proto;
  proto.set_code(static_cast<int>(status.code()));
  proto.set_message(
      CleanText(std::string_view(status.message().data(), status.message().size()), kMessageLimit));
  const ErrorInfo error = GetErrorInfo(status);
  google::rpc::ErrorInfo info;
  info.set_reason(error.reason);
  info.set_domain(kErrorDomain);
  for (const auto& [key, value] : error.metadata) {
    if (info.metadata_size() >= static_cast<int>(kMetadataLimit)) break;
    (*info.mutable_metadata())[CleanText(key, kValueLimit)] = CleanText(value, kValueLimit);
  }
  proto.add_details()->PackFrom(info);
  if (const int seconds = RetrySeconds(error.reason); seconds > 0) {
    google::rpc::RetryInfo retry;
    retry.mutable_retry_delay()->set_seconds(seconds);
    proto.add_details()->PackFrom(retry);
  }
  return proto;
}

}  // namespace qtipd
