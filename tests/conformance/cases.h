// What the conformance tests run over: read off the registry, so that a new format, option, path or
// device is tested without a word here.
#ifndef QTIPD_TESTS_CONFORMANCE_CASES_H_
#define QTIPD_TESTS_CONFORMANCE_CASES_H_

#include <map>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "kernels/api/backend.h"
#include "kernels/api/registry.h"

namespace qtipd {

// A registry with everything built in, and one open device of the backend under test.
struct Bench {
  Registry registry;
  std::unique_ptr<Backend> cpu;
  std::unique_ptr<Backend> module;  // null where the CPU is under test
  std::unique_ptr<Device> host;     // quantizes the layers
  std::unique_ptr<Device> device;   // under test; null where there is none
  std::string no_device_reason;
};

// The bench of this executable (QTIPD_CONFORMANCE_MODULE, empty for the CPU), made once.
Bench& TheBench();

// One format with one combination of the options that have choices.
struct FormatCase {
  std::string format;
  std::map<std::string, OptionValue> given;
};
std::vector<FormatCase> AllFormatCases();
std::vector<std::string> AllPaths();
std::string CaseName(const FormatCase& format_case);
// How GoogleTest shows a case.
inline void PrintTo(const FormatCase& format_case, std::ostream* stream) {
  *stream << CaseName(format_case);
}

// Shapes that the format takes: the smallest, rectangular both ways, and odd ones where allowed.
std::vector<Shape> ShapesOf(const FormatCase& format_case);

// A layer quantized from seeded normal weights on the host; made once for each case and shape.
absl::StatusOr<PackedLayer> QuantizedLayer(const FormatCase& format_case, Shape shape);

// The same with the backend of `device`, made anew; `weights` [out, in] receives what was
// quantized.
absl::StatusOr<PackedLayer> Quantize(const FormatCase& format_case, Shape shape, Device& device,
                                     std::vector<float>* weights = nullptr);

}  // namespace qtipd

#endif  // QTIPD_TESTS_CONFORMANCE_CASES_H_
