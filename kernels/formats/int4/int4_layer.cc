#include "kernels/formats/int4/int4_layer.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "kernels/api/error.h"
#include "kernels/api/status.h"
#include "kernels/formats/int4/int4_options.h"
#include "kernels/formats/int4/int4_tensors.h"

namespace qtipd {
namespace {

// A tensor of the artefact with exactly this dtype and shape.
absl::StatusOr<HostTensor> TakeTensor(const TensorMap& tensors, const std::string& name,
                                      DType dtype, int64_t rows, int64_t cols) {
  QTIPD_ASSIGN_OR_RETURN(const HostTensor* tensor, FindInt4Tensor(tensors, name));
  QTIPD_RETURN_IF_ERROR(
      CheckInt4Matrix(name, *tensor, {dtype}, absl::StrCat("[", rows, ", ", cols, "]")));
  QTIPD_RETURN_IF_ERROR(CheckInt4TensorShape(name, *tensor, {rows, cols}));
  return *tensor;
}

}  // namespace

Int4Layer::Int4Layer(Shape shape, const Int4Spec& spec, HostTensor qweight, HostTensor scales,
                     HostTensor qzeros)
    : shape_(shape),
      spec_(spec),
      qweight_(std::move(qweight)),
      scales_(std::move(scales)),
      qzeros_(std::move(qzeros)) {}

absl::StatusOr<Int4Layer> ParseInt4Layer(const PackedLayer& packed) {
  const auto [out, in] = packed.shape;
  QTIPD_RETURN_IF_ERROR(CheckInt4Shape(packed.options, packed.shape));
  const Int4Spec spec = Int4SpecOf(packed.options, in);
  if (spec.is_symmetric) {
    QTIPD_RETURN_IF_ERROR(CheckInt4Names(packed.tensors, {"qweight", "scales"}));
  } else {
    QTIPD_RETURN_IF_ERROR(CheckInt4Names(packed.tensors, {"qweight", "qzeros", "scales"}));
  }
  QTIPD_ASSIGN_OR_RETURN(HostTensor qweight, TakeTensor(packed.tensors, "qweight", DType::kI32,
                                                        in / kInt4PerWord, out));
  QTIPD_ASSIGN_OR_RETURN(HostTensor scales, TakeTensor(packed.tensors, "scales", spec.scale_dtype,
                                                       spec.groups(in), out));
  QTIPD_RETURN_IF_ERROR(CheckInt4Scales(scales));
  HostTensor qzeros;
  if (!spec.is_symmetric) {
    QTIPD_ASSIGN_OR_RETURN(qzeros, TakeTensor(packed.tensors, "qzeros", DType::kI32,
                                              spec.groups(in), out / kInt4PerWord));
  }
  return Int4Layer(packed.shape, spec, std::move(qweight), std::move(scales), std::move(qzeros));
}

uint64_t Int4PackedBytes(const Int4Spec& spec, Shape shape) {
  const auto out = static_cast<uint64_t>(shape.out_features);
  const auto groups = static_cast<uint64_t>(spec.groups(shape.in_features));
  const uint64_t codes = out * static_cast<uint64_t>(shape.in_features) / 2;
  return codes + 2 * groups * out + (spec.is_symmetric ? 0 : groups * out / 2);
}

}  // namespace qtipd
