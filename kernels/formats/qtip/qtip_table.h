// Codes by name and as whole tables: what everything that is not a kernel of its own uses.
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_TABLE_H_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_TABLE_H_

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "kernels/api/options.h"
#include "kernels/formats/qtip/qtip_code.h"

namespace qtipd {

// What does not depend on the rate.
struct QtipCodeInfo {
  QtipCode code;
  std::string_view name;   // frozen: an option value
  int default_vector_dim;  // the only one, except that `lut` takes 1 and 2
  int table_bits;          // of the default table; 0: none; -1: as many as the state has
};

// All codes, the default first.
std::span<const QtipCodeInfo> QtipCodes();
const QtipCodeInfo& QtipCodeInfoOf(QtipCode code);
// Nothing for a name that is not one of theirs.
std::optional<QtipCode> FindQtipCode(std::string_view name);

// What the options `code`, `codebook`, `bits`, `state_bits` and `vector_dim` (0: the code's own)
// say, with the table size of the default table. Errors: OPTION_INVALID for values that do not go
// together, naming the option.
absl::StatusOr<QtipCodeSpec> QtipSpecOf(const Options& options);

// "lut with 3 bits, 12 state bits, 2 weights a step", for errors.
std::string QtipSpecText(const QtipCodeSpec& spec);

// Shape of `tlut` as newly written layers have it, empty for a code without one.
std::vector<int64_t> QtipTableShape(const QtipCodeSpec& spec);

// The table that new layers get, as fp16 bits, spec.table_values() of them; constant data:
//   hyb       trained (tools/train_codebook.cc)
//   lut       N(0,1) numbers of a fixed seed
//   quantlut  quantiles of N(0,1) at (i + 1/2) / 2^Q
std::vector<uint16_t> QtipDefaultTable(const QtipCodeSpec& spec);

// Values of option `codebook`, frozen, and the table of new layers that `code` and it name; the two
// go together (QtipSpecOf).
inline constexpr const char* kQtipFp16Codebook = "fp16";
inline constexpr const char* kQtipInt8Codebook = "int8";
std::vector<uint16_t> QtipTableOf(const Options& options);

// The largest number, in units of 2^-24, of which all values of `tlut` (finite fp16 bits) are
// multiples, if none is more than 127 of it from 0; else 0. Every fp16 is a multiple of 2^-24.
int64_t QtipTableStep(std::span<const uint16_t> tlut);

// The default table of `hyb` rounded to multiples of kQtipInt8Step from -127 to 127, each an fp16:
// what option codebook=int8 gives new layers, so that kernels that multiply integers are exact.
// Adds a twelfth of a step squared to a weight's squared error: 0.09 % of it at 2 bits.
inline constexpr float kQtipInt8Step = 7.0f / 256;
std::vector<uint16_t> QtipInt8Table();

// Every decoded weight: weights[state * vector_dim + f], exact in fp32. For all codes but 1mad and
// 2mad every value is an fp16.
struct QtipTable {
  int vector_dim = 0;
  std::vector<float> weights;
  // Root mean square of all of them.
  double Rms() const;
};

// `tlut` holds spec.table_values() fp16 bits.
QtipTable MakeQtipTable(const QtipCodeSpec& spec, std::span<const uint16_t> tlut);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_TABLE_H_
