// SHA-256, incrementally (OpenSSL).
#ifndef QTIPD_SERVER_BASE_SHA256_H_
#define QTIPD_SERVER_BASE_SHA256_H_

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace qtipd {

// One hash in the making; not thread-safe.
class Sha256 {
 public:
  Sha256();
  Sha256(Sha256&&) noexcept;
  ~Sha256();
  void Update(std::span<const std::byte> bytes);
  void Update(std::string_view text);
  // The digest as 64 lower-case hex digits. Call once.
  std::string Finish();

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

std::string Sha256Hex(std::span<const std::byte> bytes);
std::string Sha256Hex(std::string_view text);

}  // namespace qtipd

#endif  // QTIPD_SERVER_BASE_SHA256_H_
