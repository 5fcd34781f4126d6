// The options of format "int4" and what they say.
#ifndef QTIPD_KERNELS_FORMATS_INT4_INT4_OPTIONS_H_
#define QTIPD_KERNELS_FORMATS_INT4_INT4_OPTIONS_H_

#include <map>
#include <string>

#include "absl/status/status.h"
#include "kernels/api/options.h"
#include "kernels/formats/int4/int4_layout.h"

namespace qtipd {

// Values of option checkpoint_format, by the names of GPTQModel's quantize_config.json.
inline constexpr char kInt4GptqV1[] = "gptq";
inline constexpr char kInt4GptqV2[] = "gptq_v2";

enum class Int4Encoder { kRoundToNearest, kGptq };

OptionSchema MakeInt4Schema();

// `options` have passed CheckOptions with the schema.
Int4Spec Int4SpecOf(const Options& options, int64_t in_features);

// The encoder that the options ask for, where "auto" is gptq with a Hessian and rtn without.
Int4Encoder Int4EncoderOf(const Options& options, bool has_hessian);

// Whether the range of a group is searched for, rather than that of its weights.
bool Int4SearchesClip(const Options& options);

// Values of the options that describe `spec`.
std::map<std::string, OptionValue> Int4OptionsOf(const Int4Spec& spec, int64_t in_features);

// Whether the layer's sides and the group size fit. Errors: SHAPE_UNSUPPORTED, of the field
// group_size where it does not divide in_features.
absl::Status CheckInt4Shape(const Options& options, Shape shape);

// Errors: OPTION_INVALID for options that only quantizing has.
absl::Status CheckInt4ImportOptions(const std::map<std::string, OptionValue>& given);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_INT4_INT4_OPTIONS_H_
