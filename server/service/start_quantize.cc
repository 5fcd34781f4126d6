#include "kernels/api/error.h"
#include "kernels/api/status.h"
#include "server/service/common_conversion.h"
#include "server/service/handlers.h"
#include "server/service/operation_conversion.h"

namespace qtipd {
namespace {

absl::StatusOr<TensorSource> TensorFromProto(const v1::TensorMatrix& proto) {
  TensorSource source;
  QTIPD_ASSIGN_OR_RETURN(source.file, FromProto(proto.file(), "tensor.file"));
  source.tensor = proto.tensor();
  source.hessian_tensor = proto.hessian_tensor();
  if (proto.has_hessian_file()) {
    QTIPD_ASSIGN_OR_RETURN(source.hessian_file,
                           FromProto(proto.hessian_file(), "tensor.hessian_file"));
  }
  source.display_name = proto.display_name();
  source.hessian_name = proto.hessian_name();
  if (source.tensor.empty()) {
    return InvalidField("TENSOR_NAME_MISSING", "tensor.tensor", "nothing",
                        "the name of a tensor in the file");
  }
  if (proto.has_hessian_file() && source.hessian_tensor.empty()) {
    return InvalidField("TENSOR_NAME_MISSING", "tensor.hessian_tensor", "nothing",
                        "the name of a tensor in hessian_file");
  }
  return source;
}

absl::Status FillSource(const v1::StartQuantizeRequest& request, QuantizeSpec& spec) {
  switch (request.source_case()) {
    case v1::StartQuantizeRequest::kRandom: {
      const v1::Shape& shape = request.random().shape();
      QTIPD_ASSIGN_OR_RETURN(
          const Distribution distribution,
          FindDistribution("random.distribution", request.random().distribution()));
      spec.random = RandomSource{
          {shape.out_features(), shape.in_features()}, request.random().seed(), distribution};
      return absl::OkStatus();
    }
    case v1::StartQuantizeRequest::kTensor: {
      QTIPD_ASSIGN_OR_RETURN(spec.tensor, TensorFromProto(request.tensor()));
      return absl::OkStatus();
    }
    case v1::StartQuantizeRequest::SOURCE_NOT_SET:
      break;
  }
  return InvalidField("SOURCE_INVALID", "source", "nothing", "random or tensor");
}

}  // namespace

absl::StatusOr<google::longrunning::Operation> StartQuantize(
    Engine& engine, const v1::StartQuantizeRequest& request, const CallContext& context) {
  QuantizeSpec spec;
  spec.request_id = request.request_id();
  spec.name = request.name();
  spec.device = request.device();
  spec.format = request.format();
  spec.seed = request.seed();
  spec.if_absent = request.if_absent();
  QTIPD_ASSIGN_OR_RETURN(spec.options, FromProto(request.format_options()));
  QTIPD_RETURN_IF_ERROR(FillSource(request, spec));
  QTIPD_ASSIGN_OR_RETURN(const OperationRecord operation, engine.StartQuantize(spec));
  return ToProto(operation, engine, Samples::kKeep);
}

}  // namespace qtipd
