#include "server/service/profile_conversion.h"

#include "server/engine/profile/bottleneck.h"
#include "server/engine/profile/stall_reasons.h"
#include "server/service/common_conversion.h"

namespace qtipd {
namespace {

void FillMetrics(const ProfileData& data, v1::Profile& proto) {
  for (const MetricValue& metric : data.metrics) {
    v1::MetricValue* value = proto.add_metrics();
    value->set_name(metric.name);
    value->set_value(metric.value);
    value->set_unit(metric.unit);
    value->set_description(metric.description);
  }
  for (const StallShare& share : StallBreakdown(data.metrics)) {
    v1::StallReason* reason = proto.add_stall_reasons();
    reason->set_reason(share.reason);
    reason->set_percent(share.percent);
    reason->set_meaning(share.meaning);
  }
}

void FillBottleneck(const ProfileData& data, v1::Profile& proto) {
  for (const BottleneckFinding& finding : ExplainBottleneck(data.metrics)) {
    v1::BottleneckFinding* out = proto.add_bottleneck();
    out->set_rule(finding.rule);
    out->set_sentence(finding.sentence);
    for (const Evidence& evidence : finding.evidence) {
      v1::BottleneckEvidence* number = out->add_evidence();
      number->set_quantity(evidence.quantity);
      number->set_value(evidence.value);
      number->set_unit(evidence.unit);
      number->set_condition(evidence.condition);
    }
  }
}

void FillInstructions(const ProfileData& data, v1::Profile& proto) {
  for (const HotInstruction& hot : data.hot_instructions) {
    v1::HotInstruction* instruction = proto.add_hot_instructions();
    instruction->set_function(hot.function);
    instruction->set_offset_bytes(hot.offset);
    instruction->set_text(hot.text);
    instruction->set_samples(hot.samples);
    for (const auto& [reason, samples] : hot.stall_samples) {
      (*instruction->mutable_stall_samples())[reason] = samples;
    }
  }
  proto.set_total_samples(data.total_samples);
  proto.set_dropped_samples(data.dropped_samples);
}

}  // namespace

v1::Profile ToProto(const ProfileRecord& record) {
  v1::Profile proto;
  proto.set_id(record.id);
  proto.set_artifact(record.artifact);
  proto.set_artifact_sha256(record.artifact_sha256);
  proto.set_format(record.format);
  FillOptions(record.options, *proto.mutable_format_options());
  *proto.mutable_shape() = ToProto(record.shape);
  proto.set_path(record.path);
  proto.set_step(record.step);
  proto.set_batch(record.batch);
  proto.set_activation_dtype(record.activation_dtype);
  proto.set_copies(record.copies);
  proto.set_preset(record.preset);
  proto.set_device(record.device);
  proto.set_device_name(record.device_name);
  proto.set_chip(record.data.chip);
  proto.set_source(record.data.source);
  proto.set_passes(record.data.passes);
  proto.set_runs(record.data.runs);
  for (const std::string& name : record.data.unavailable_metrics) {
    proto.add_unavailable_metrics(name);
  }
  FillMetrics(record.data, proto);
  FillBottleneck(record.data, proto);
  FillInstructions(record.data, proto);
  for (const auto& [key, value] : record.environment) (*proto.mutable_environment())[key] = value;
  for (const auto& [key, value] : record.data.notes) (*proto.mutable_notes())[key] = value;
  *proto.mutable_create_time() = ToTimestamp(record.create_time);
  proto.set_seconds(record.seconds);
  return proto;
}

}  // namespace qtipd
