#include "server/service/model_conversion.h"

#include "server/service/common_conversion.h"

namespace qtipd {

v1::Model ToProto(const ModelView& model) {
  v1::Model proto;
  proto.set_name(model.record.name);
  proto.set_format(model.record.format);
  proto.set_config(model.record.config);
  for (const auto& [prefix, record] : model.layers) {
    v1::ModelLayer& layer = *proto.add_layers();
    layer.set_prefix(prefix);
    layer.set_artifact(record.name);
    *layer.mutable_shape() = ToProto(record.shape);
    layer.set_packed_bytes(record.packed_bytes);
  }
  for (const std::string& tensor : model.record.absent_tensors) proto.add_absent_tensors(tensor);
  proto.set_source(model.record.source);
  if (model.record.create_time != 0) {
    *proto.mutable_create_time() = ToTimestamp(model.record.create_time);
  }
  return proto;
}

v1::Hessian ToProto(const HessianRecord& hessian) {
  v1::Hessian proto;
  proto.set_name(hessian.name);
  proto.set_in_features(hessian.in_features);
  proto.set_tokens(hessian.tokens);
  proto.set_mean_diagonal(hessian.mean_diagonal);
  proto.set_sha256(hessian.sha256);
  proto.set_stored_bytes(hessian.stored_bytes);
  for (const std::string& source : hessian.sources) proto.add_sources(source);
  *proto.mutable_create_time() = ToTimestamp(hessian.create_time);
  *proto.mutable_update_time() = ToTimestamp(hessian.update_time);
  return proto;
}

}  // namespace qtipd
