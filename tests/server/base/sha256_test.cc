#include "server/base/sha256.h"

#include <gtest/gtest.h>

namespace qtipd {
namespace {

// FIPS 180-4 example.
constexpr char kAbc[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

TEST(Sha256, MatchesTheStandardsExample) { EXPECT_EQ(Sha256Hex(std::string_view("abc")), kAbc); }

TEST(Sha256, DoesNotDependOnHowBytesArrive) {
  Sha256 hash;
  hash.Update(std::string_view("a"));
  hash.Update(std::string_view(""));
  hash.Update(std::string_view("bc"));
  EXPECT_EQ(hash.Finish(), kAbc);
}

}  // namespace
}  // namespace qtipd
