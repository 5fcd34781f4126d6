#include "server/service/common_conversion.h"

#include <type_traits>
#include <utility>
#include <variant>

#include "kernels/api/error.h"
#include "kernels/api/status.h"

namespace qtipd {
namespace {

constexpr int kMaxPageSize = 1000;
// Tokens are ours and short; a long one is refused before it reaches a query.
constexpr size_t kMaxTokenBytes = 512;

std::string ToString(std::string_view text) { return std::string(text); }

v1::OptionSpec SpecProto(const OptionSpec& spec) {
  v1::OptionSpec proto;
  proto.set_name(spec.name);
  proto.set_help(spec.help);
  *proto.mutable_default_value() = ToProto(spec.default_value);
  for (const OptionValue& choice : spec.choices) *proto.add_choices() = ToProto(choice);
  proto.set_minimum(spec.minimum);
  proto.set_maximum(spec.maximum);
  for (const std::string& word : spec.words) proto.add_words(word);
  return proto;
}

void FillCurve(const std::vector<BandwidthPoint>& curve,
               google::protobuf::RepeatedPtrField<v1::BandwidthPoint>& proto) {
  for (const BandwidthPoint& point : curve) {
    v1::BandwidthPoint& added = *proto.Add();
    added.set_bytes(point.bytes);
    added.set_seconds(point.seconds);
  }
}

v1::Ceiling CeilingProto(const DeviceCeiling& ceiling) {
  v1::Ceiling proto;
  FillCurve(ceiling.read, *proto.mutable_read());
  FillCurve(ceiling.copy, *proto.mutable_copy());
  FillCurve(ceiling.read_cached, *proto.mutable_read_cached());
  proto.set_launch_seconds(ceiling.launch_seconds);
  proto.set_overlapped_launch_seconds(ceiling.overlapped_launch_seconds);
  proto.set_replay_seconds(ceiling.replay_seconds);
  proto.set_clock_hertz(ceiling.clock_hertz);
  for (const auto& [kind, rate] : ceiling.rates) (*proto.mutable_rates())[kind] = rate;
  return proto;
}

}  // namespace

v1::OptionValue ToProto(const OptionValue& value) {
  v1::OptionValue proto;
  std::visit(
      [&proto](const auto& held) {
        using Held = std::decay_t<decltype(held)>;
        if constexpr (std::is_same_v<Held, int64_t>) {
          proto.set_integer(held);
        } else if constexpr (std::is_same_v<Held, double>) {
          proto.set_number(held);
        } else if constexpr (std::is_same_v<Held, bool>) {
          proto.set_boolean(held);
        } else {
          proto.set_text(held);
        }
      },
      value);
  return proto;
}

v1::Shape ToProto(const Shape& shape) {
  v1::Shape proto;
  proto.set_out_features(shape.out_features);
  proto.set_in_features(shape.in_features);
  return proto;
}

v1::Device ToProto(const DeviceStatus& device) {
  v1::Device proto;
  proto.set_id(device.info.id);
  proto.set_backend(device.info.backend);
  proto.set_name(device.info.name);
  proto.set_uuid(device.info.uuid);
  proto.set_memory_bytes(device.info.memory_bytes);
  proto.set_memory_free_bytes(device.memory.free_bytes);
  proto.set_last_level_cache_bytes(device.info.last_level_cache_bytes);
  proto.set_compute_units(device.info.compute_units);
  proto.set_compute_dtype(ToString(DTypeName(device.info.compute_dtype)));
  for (const auto& [key, value] : device.info.properties)
    (*proto.mutable_properties())[key] = value;
  proto.set_healthy(device.is_healthy);
  proto.set_unhealthy_reason(device.unhealthy_reason);
  proto.set_artifact_bytes(device.artifact_bytes);
  proto.set_queue_depth(device.queue_depth);
  if (device.ceiling) *proto.mutable_ceiling() = CeilingProto(*device.ceiling);
  return proto;
}

v1::BackendStatus ToProto(const BackendStatus& backend) {
  v1::BackendStatus proto;
  proto.set_id(backend.id);
  proto.set_available(backend.is_available);
  proto.set_reason(backend.reason);
  return proto;
}

v1::Path ToProto(const InferencePath& path) {
  v1::Path proto;
  proto.set_id(ToString(path.id()));
  proto.set_summary(ToString(path.summary()));
  return proto;
}

v1::Format ToProto(const WeightFormat& format, const Registry& registry,
                   const std::vector<std::string>& backend_ids) {
  v1::Format proto;
  proto.set_id(ToString(format.id()));
  proto.set_summary(ToString(format.summary()));
  for (const OptionSpec& spec : format.schema()) *proto.add_options() = SpecProto(spec);
  for (const std::string& backend : backend_ids) {
    if (registry.FindBackend(format.id(), backend).ok()) proto.add_backends(backend);
  }
  for (const std::string& phase : format.fused_phases()) proto.add_fused_phases(phase);
  return proto;
}

google::protobuf::Timestamp ToTimestamp(UnixMillis time) {
  google::protobuf::Timestamp timestamp;
  // Floor division: nanos count forward also before the epoch.
  const int64_t seconds = time / 1000 - (time % 1000 < 0 ? 1 : 0);
  timestamp.set_seconds(seconds);
  timestamp.set_nanos(static_cast<int32_t>((time - seconds * 1000) * 1'000'000));
  return timestamp;
}

void FillOptions(const Options& options, OptionMap& proto) {
  for (const auto& [name, value] : options.values()) proto[name] = ToProto(value);
}

absl::StatusOr<std::map<std::string, OptionValue>> FromProto(const OptionMap& proto) {
  std::map<std::string, OptionValue> values;
  for (const auto& [name, value] : proto) {
    switch (value.value_case()) {
      case v1::OptionValue::kInteger:
        values[name] = static_cast<int64_t>(value.integer());
        break;
      case v1::OptionValue::kNumber:
        values[name] = value.number();
        break;
      case v1::OptionValue::kBoolean:
        values[name] = value.boolean();
        break;
      case v1::OptionValue::kText:
        values[name] = value.text();
        break;
      case v1::OptionValue::VALUE_NOT_SET:
        return InvalidField("OPTION_INVALID", "format_options." + name, "no value",
                            "integer, number, boolean or text");
    }
  }
  return values;
}

absl::StatusOr<FileSource> FromProto(const v1::FileSource& proto, const std::string& field) {
  FileSource source;
  source.upload_id = proto.upload_id();
  source.server_path = proto.server_path();
  if (source.upload_id.empty() && source.server_path.empty()) {
    return InvalidField("FILE_SOURCE_INVALID", field, "nothing", "an upload_id or a server_path");
  }
  return source;
}

absl::StatusOr<PageRequest> ToPageRequest(int32_t page_size, const std::string& page_token) {
  if (page_size < 0 || page_size > kMaxPageSize) {
    return InvalidField("PAGE_SIZE_INVALID", "page_size", std::to_string(page_size),
                        "0 (the default, 100) to " + std::to_string(kMaxPageSize));
  }
  if (page_token.size() > kMaxTokenBytes) {
    return InvalidField("PAGE_TOKEN_INVALID", "page_token",
                        std::to_string(page_token.size()) + " bytes",
                        "a next_page_token of the same list");
  }
  return PageRequest{page_size, page_token};
}

}  // namespace qtipd
