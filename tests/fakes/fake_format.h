// The simplest weight format: every weight rounded to a multiple of 2^-bits.
#ifndef QTIPD_TESTS_FAKES_FAKE_FORMAT_H_
#define QTIPD_TESTS_FAKES_FAKE_FORMAT_H_

#include <functional>
#include <memory>
#include <string>

#include "kernels/api/registry.h"

namespace qtipd {

// What a test sets of the fake format; outlives the registry. Set before any job starts.
struct FakeFormatControl {
  // Called by Quantize on the device's thread, halfway.
  std::function<void()> on_quantize = [] {};
  // Called by Import, before it looks at anything.
  std::function<void()> on_import = [] {};
  // Added to every element of z by Multiply: an output that is wrong.
  float multiply_error = 0;
  // What resident weights say of how they multiply.
  std::string multiply_configuration;
};

// Adds the format `fake` (options `bits` 1 to 8 and `code` = `plain`; sides must be multiples of 4;
// one tensor `rounded` F32 [out, in]) with a backend on `fake`. A model's config is "fake model".
void AddFakeFormat(Registry& registry, std::shared_ptr<FakeFormatControl> control);

}  // namespace qtipd

#endif  // QTIPD_TESTS_FAKES_FAKE_FORMAT_H_
