#include "kernels/formats/qtip/qtip_linear_check.h"

#include <array>
#include <cmath>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kernels/api/error.h"
#include "kernels/api/status.h"
#include "kernels/formats/qtip/qtip_layer.h"
#include "kernels/formats/qtip/qtip_layer_tensors.h"

namespace qtipd {
namespace {

constexpr int64_t kTile = 16;
constexpr int64_t kTileWeights = kTile * kTile;

// Projections of a decoder layer, and how tensor parallelism splits them: rcp.
constexpr std::array<std::pair<std::string_view, int64_t>, 7> kProjections = {
    {{"q", 2}, {"k", 2}, {"v", 2}, {"o", 1}, {"gate", 2}, {"up", 2}, {"down", 1}}};

absl::Status Contradiction(const std::string& key, const std::string& got,
                           const std::string& allowed) {
  return InvalidField("MODEL_CONFIG_CONTRADICTS", "config.json " + key, got, allowed);
}

std::string Bracket(int64_t rows, int64_t columns) {
  return "[" + std::to_string(rows) + ", " + std::to_string(columns) + "]";
}

// Checks one linear; the shapes are those of its own SU and SV.
class LinearCheck {
 public:
  LinearCheck(const QtipModelConfig& config, ModelLinear& linear)
      : config_(config), linear_(linear), name_(ParseQtipLinearName(linear.prefix)) {}

  absl::Status Run() {
    QTIPD_RETURN_IF_ERROR(CheckQtipTensorNames(linear_.tensors, linear_.prefix));
    QTIPD_RETURN_IF_ERROR(CheckPlace());
    QTIPD_ASSIGN_OR_RETURN(in_features_, VectorLength("SU"));
    QTIPD_ASSIGN_OR_RETURN(out_features_, VectorLength("SV"));
    QTIPD_RETURN_IF_ERROR(CheckTrellis());
    QTIPD_RETURN_IF_ERROR(CheckLut());
    QTIPD_RETURN_IF_ERROR(CheckSplit());
    SetOptions();
    return absl::OkStatus();
  }

 private:
  std::string Field(const std::string& tensor) const { return linear_.prefix + tensor; }

  int64_t Bits() const {
    const auto own = name_ ? config_.bits_of_projection.find(name_->projection)
                           : config_.bits_of_projection.end();
    return own == config_.bits_of_projection.end() ? config_.bits : own->second;
  }

  // What is the code's own default is left out: not every release has an option for it.
  void SetOptions() {
    linear_.options = {{"code", config_.code}, {"bits", Bits()}};
    if (config_.state_bits != kQtipDefaultStateBits) {
      linear_.options["state_bits"] = config_.state_bits;
    }
    if (config_.vector_dim != QtipDefaultVectorDim(config_.code)) {
      linear_.options["vector_dim"] = config_.vector_dim;
    }
  }

  std::string BitsKey() const {
    const bool has_own = name_ && config_.bits_of_projection.contains(name_->projection);
    return has_own ? "quip_params.K_" + name_->projection + "_proj" : "quip_params.K";
  }

  absl::StatusOr<const HostTensor*> Find(const std::string& tensor) const {
    const auto found = linear_.tensors.find(tensor);
    if (found != linear_.tensors.end()) return &found->second;
    std::string present;
    for (const auto& [name, unused] : linear_.tensors) {
      present += (present.empty() ? "" : ", ") + name;
    }
    return InvalidField("TENSOR_MISSING", Field(tensor), "only " + present,
                        "a linear with trellis, SU and SV");
  }

  absl::Status CheckPlace() const {
    if (!name_) return absl::OkStatus();
    if (config_.layer_count && name_->layer >= *config_.layer_count) {
      return Contradiction("num_hidden_layers", std::to_string(*config_.layer_count),
                           "more than " + std::to_string(name_->layer) + ", the layer of " +
                               linear_.prefix + "trellis");
    }
    if (!config_.skip_list.contains(name_->SkipKey())) return absl::OkStatus();
    return Contradiction("quip_params.skip_list", name_->SkipKey(),
                         "no linear that is quantized, as " + Field("trellis") + " says");
  }

  absl::StatusOr<const HostTensor*> FindFloat(const std::string& tensor) const {
    QTIPD_ASSIGN_OR_RETURN(const HostTensor* found, Find(tensor));
    const DType dtype = found->dtype();
    if (dtype == DType::kF16 || dtype == DType::kBF16 || dtype == DType::kF32) return found;
    return InvalidField("TENSOR_DTYPE_UNSUPPORTED", Field(tensor), DTypeName(dtype),
                        "F16, BF16, F32");
  }

  absl::StatusOr<int64_t> VectorLength(const std::string& tensor) const {
    QTIPD_ASSIGN_OR_RETURN(const HostTensor* found, FindFloat(tensor));
    if (found->shape().size() == 1 && found->shape()[0] > 0 && found->shape()[0] % kTile == 0) {
      return found->shape()[0];
    }
    return InvalidField("TENSOR_SHAPE_INVALID", Field(tensor), found->ShapeText(),
                        "[n], n a multiple of 16");
  }

  // Words of the wrong count are the tensor's fault; a rate other than K is the config's.
  absl::Status CheckTrellis() const {
    QTIPD_ASSIGN_OR_RETURN(const HostTensor* trellis, Find("trellis"));
    if (trellis->dtype() != DType::kI16 && trellis->dtype() != DType::kU16) {
      return InvalidField("TENSOR_DTYPE_UNSUPPORTED", Field("trellis"), DTypeName(trellis->dtype()),
                          "I16");
    }
    const int64_t tiles = out_features_ * in_features_ / kTileWeights;
    const std::vector<int64_t>& got = trellis->shape();
    const bool is_whole = got.size() == 2 && got[0] == tiles && got[1] > 0 && got[1] % kTile == 0;
    if (!is_whole || got[1] / kTile > 4) {
      return InvalidField("TENSOR_SHAPE_INVALID", Field("trellis"), trellis->ShapeText(),
                          Bracket(tiles, kTile * Bits()) + " for W " +
                              Bracket(out_features_, in_features_) + " and " + BitsKey() + " = " +
                              std::to_string(Bits()));
    }
    if (got[1] / kTile == Bits()) return absl::OkStatus();
    return Contradiction(BitsKey(), std::to_string(Bits()),
                         std::to_string(got[1] / kTile) + ", that of " + Field("trellis") + " " +
                             trellis->ShapeText());
  }

  absl::Status CheckLut() const {
    const bool is_there = linear_.tensors.contains("tlut");
    if (!QtipCodeHasLut(config_.code)) {
      if (!is_there) return absl::OkStatus();
      return Contradiction("quip_params.decode_mode", config_.code,
                           "a code with a table, as " + Field("tlut") + " is there");
    }
    QTIPD_ASSIGN_OR_RETURN(const HostTensor* tlut, FindFloat("tlut"));
    const int64_t rows = int64_t{1} << config_.lut_bits;
    const std::vector<int64_t>& got = tlut->shape();
    const bool is_flat = config_.vector_dim == 1 && got == std::vector<int64_t>{rows};
    if (is_flat || got == std::vector<int64_t>{rows, config_.vector_dim}) return absl::OkStatus();
    return InvalidField("TENSOR_SHAPE_INVALID", Field("tlut"), tlut->ShapeText(),
                        Bracket(rows, config_.vector_dim) +
                            ", as quip_params has tlut_bits = " + std::to_string(config_.lut_bits) +
                            " and V = " + std::to_string(config_.vector_dim));
  }

  absl::StatusOr<int64_t> Scalar(const std::string& tensor, int64_t missing, int64_t least,
                                 int64_t most) const {
    const auto found = linear_.tensors.find(tensor);
    if (found == linear_.tensors.end()) return missing;
    const std::vector<float> values = found->second.ToFloat();
    const std::string allowed =
        "one integer from " + std::to_string(least) + " to " + std::to_string(most);
    if (values.size() != 1) {
      return InvalidField("TENSOR_SHAPE_INVALID", Field(tensor), found->second.ShapeText(),
                          allowed);
    }
    const float value = values[0];
    const bool is_good = value == std::floor(value) && value >= static_cast<float>(least) &&
                         value <= static_cast<float>(most);
    if (is_good) return static_cast<int64_t>(value);
    return InvalidField("TENSOR_VALUE_INVALID", Field(tensor), std::to_string(value), allowed);
  }

  absl::Status CheckSplit() {
    QTIPD_ASSIGN_OR_RETURN(int64_t rcp, Scalar("rcp", -1, 0, 2));
    QTIPD_ASSIGN_OR_RETURN(const int64_t tp_rank, Scalar("tp_rank", kQtipDefaultTpRank, 1, 1024));
    if (rcp < 0 && config_.is_split) {
      QTIPD_ASSIGN_OR_RETURN(rcp, AddMissingSplit());
    }
    if (rcp >= 0 && config_.is_split != (rcp != 0)) {
      return Contradiction("quip_params.split_for_tp", config_.is_split ? "true" : "false",
                           std::string(rcp != 0 ? "true" : "false") + ", as " + Field("rcp") +
                               " is " + std::to_string(rcp));
    }
    const int64_t side = rcp == 1 ? in_features_ : out_features_;
    if (rcp <= 0 || side % tp_rank == 0) return absl::OkStatus();
    return InvalidField("TENSOR_VALUE_INVALID", Field("tp_rank"), std::to_string(tp_rank),
                        std::string("a divisor of the ") + (rcp == 1 ? "in" : "out") +
                            "_features, " + std::to_string(side));
  }

  absl::StatusOr<int64_t> AddMissingSplit() {
    const std::optional<int64_t> rcp = name_ ? QtipSplitOf(name_->projection) : std::nullopt;
    if (!rcp) {
      return InvalidField("TENSOR_MISSING", Field("rcp"), "nothing",
                          "the tensor, as split_for_tp is true and the name tells no projection");
    }
    linear_.tensors["rcp"] = HostTensor::Take(DType::kI64, {}, std::vector<int64_t>{*rcp});
    return *rcp;
  }

  const QtipModelConfig& config_;
  ModelLinear& linear_;
  const std::optional<QtipLinearName> name_;
  int64_t in_features_ = 0;
  int64_t out_features_ = 0;
};

}  // namespace

std::optional<int64_t> QtipSplitOf(const std::string& projection) {
  for (const auto& [name, rcp] : kProjections) {
    if (name == projection) return rcp;
  }
  return std::nullopt;
}

absl::Status CheckQtipLinear(const QtipModelConfig& config, ModelLinear& linear) {
  return LinearCheck(config, linear).Run();
}

}  // namespace qtipd
