#include "server/service/artifact_conversion.h"

#include "server/service/common_conversion.h"

namespace qtipd {

v1::Quality ToProto(const Quality& quality) {
  v1::Quality proto;
  proto.set_weight_mse(quality.weight_mse);
  proto.set_relative_weight_mse(quality.relative_weight_mse);
  proto.set_output_mse(quality.output_mse);
  proto.set_relative_output_mse(quality.relative_output_mse);
  proto.set_proxy_error(quality.proxy_error);
  return proto;
}

v1::Artifact ToProto(const ArtifactRecord& record) {
  v1::Artifact proto;
  proto.set_name(record.name);
  proto.set_sha256(record.sha256);
  proto.set_format(record.format);
  FillOptions(record.options, *proto.mutable_format_options());
  *proto.mutable_shape() = ToProto(record.shape);
  proto.set_bits_per_weight(record.bits_per_weight);
  proto.set_packed_bytes(record.packed_bytes);
  proto.set_compression_ratio(record.compression_ratio);
  proto.set_source(record.source);
  proto.set_seed(record.seed);
  if (record.quality) *proto.mutable_quality() = ToProto(*record.quality);
  for (const auto& [name, seconds] : record.quantize_step_seconds) {
    v1::StepTime* step = proto.add_quantize_steps();
    step->set_name(name);
    step->set_seconds(seconds);
  }
  proto.set_quantize_seconds(record.quantize_seconds);
  proto.set_quantized_on(record.quantized_on);
  *proto.mutable_create_time() = ToTimestamp(record.create_time);
  for (const std::string& device : record.loaded_on) proto.add_loaded_on(device);
  for (const ScaleTrial& trial : record.scale_trials) {
    v1::ScaleTrial* added = proto.add_scale_trials();
    added->set_scale(trial.scale);
    added->set_error(trial.error);
  }
  return proto;
}

}  // namespace qtipd
