#include "kernels/formats/int4/int4_options.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "kernels/api/error.h"
#include "kernels/api/status.h"

namespace qtipd {
namespace {

constexpr char kAuto[] = "auto";
constexpr char kRtn[] = "rtn";
constexpr char kGptq[] = "gptq";
constexpr char kFp16[] = "fp16";
constexpr char kBf16[] = "bf16";
constexpr char kNone[] = "none";
constexpr char kMse[] = "mse";

std::vector<OptionValue> Texts(std::initializer_list<const char*> texts) {
  std::vector<OptionValue> values;
  for (const char* text : texts) values.emplace_back(std::string(text));
  return values;
}

// The nearest sizes that are multiples of eight.
std::string NearestSide(int64_t side) {
  const int64_t below = side / kInt4PerWord * kInt4PerWord;
  if (below == 0) return std::to_string(kInt4PerWord);
  return absl::StrCat(below, " or ", below + kInt4PerWord);
}

absl::Status CheckSide(const char* name, int64_t side) {
  if (side >= kInt4PerWord && side % kInt4PerWord == 0) return absl::OkStatus();
  return InvalidField("SHAPE_UNSUPPORTED", name, std::to_string(side),
                      "multiples of 8, the nearest " + NearestSide(side));
}

// "32, 64 or -1 (one group a row)"
std::string GroupSizesFor(int64_t in_features) {
  std::string text;
  for (const int64_t size : kInt4GroupSizes) {
    if (in_features % size == 0) absl::StrAppend(&text, text.empty() ? "" : ", ", size);
  }
  return absl::StrCat(text, text.empty() ? "" : " or ", "-1 (one group a row) for ", in_features,
                      " in_features");
}

}  // namespace

OptionSchema MakeInt4Schema() {
  return {
      {.name = "group_size",
       .help = "columns that share a scale and a zero point; -1: all of a row",
       .default_value = int64_t{128},
       .choices = {int64_t{32}, int64_t{64}, int64_t{128}, kInt4PerChannel}},
      {.name = "symmetric",
       .help = "whether all zero points are 8, and none are stored",
       .default_value = true,
       .choices = {true, false}},
      {.name = "scale_dtype",
       .help = "type of the scales",
       .default_value = std::string(kFp16),
       .choices = Texts({kFp16, kBf16})},
      {.name = "encoder",
       .help = "rounding to nearest, or GPTQ's error feedback; auto: gptq where there is a Hessian",
       .default_value = std::string(kAuto),
       .choices = Texts({kAuto, kRtn, kGptq})},
      {.name = "clip",
       .help = "range of a group: that of its weights, or the one of least squared error",
       .default_value = std::string(kMse),
       .choices = Texts({kMse, kNone})},
      {.name = "checkpoint_format",
       .help = "zero points in checkpoints: gptq has them less one, gptq_v2 as they are",
       .default_value = std::string(kInt4GptqV1),
       .choices = Texts({kInt4GptqV1, kInt4GptqV2})},
      {.name = "damping",
       .help = "multiple of the Hessian's mean diagonal that is added to its diagonal",
       .default_value = 0.01,
       .minimum = 0.0,
       .maximum = 10.0},
  };
}

Int4Spec Int4SpecOf(const Options& options, int64_t in_features) {
  const int64_t group_size = options.GetInt("group_size");
  return {.group_size = group_size == kInt4PerChannel ? in_features : group_size,
          .is_symmetric = options.GetBool("symmetric"),
          .scale_dtype = options.GetString("scale_dtype") == kFp16 ? DType::kF16 : DType::kBF16,
          .zero_offset = options.GetString("checkpoint_format") == kInt4GptqV1 ? 1 : 0};
}

Int4Encoder Int4EncoderOf(const Options& options, bool has_hessian) {
  const std::string& encoder = options.GetString("encoder");
  const bool is_gptq = encoder == kGptq || (encoder == kAuto && has_hessian);
  return is_gptq ? Int4Encoder::kGptq : Int4Encoder::kRoundToNearest;
}

bool Int4SearchesClip(const Options& options) { return options.GetString("clip") == kMse; }

std::map<std::string, OptionValue> Int4OptionsOf(const Int4Spec& spec, int64_t in_features) {
  const bool is_listed =
      std::ranges::find(kInt4GroupSizes, spec.group_size) != std::ranges::end(kInt4GroupSizes);
  const bool is_row = spec.group_size == in_features && !is_listed;
  return {{"group_size", is_row ? kInt4PerChannel : spec.group_size},
          {"symmetric", spec.is_symmetric},
          {"scale_dtype", std::string(spec.scale_dtype == DType::kF16 ? kFp16 : kBf16)},
          {"checkpoint_format", std::string(spec.zero_offset == 1 ? kInt4GptqV1 : kInt4GptqV2)}};
}

absl::Status CheckInt4Shape(const Options& options, Shape shape) {
  QTIPD_RETURN_IF_ERROR(CheckSide("out_features", shape.out_features));
  QTIPD_RETURN_IF_ERROR(CheckSide("in_features", shape.in_features));
  const int64_t group_size = options.GetInt("group_size");
  if (group_size == kInt4PerChannel || shape.in_features % group_size == 0) {
    return absl::OkStatus();
  }
  return InvalidField("SHAPE_UNSUPPORTED", "group_size", std::to_string(group_size),
                      GroupSizesFor(shape.in_features));
}

absl::Status CheckInt4ImportOptions(const std::map<std::string, OptionValue>& given) {
  const auto damping = given.find("damping");
  if (damping == given.end()) return absl::OkStatus();
  return InvalidField("OPTION_INVALID", "damping", OptionText(damping->second),
                      "no such option when importing: it says how to quantize");
}

}  // namespace qtipd
