#include "server/engine/jobs/recipe.h"

#include "server/base/sha256.h"
#include "server/engine/history/record_json.h"
#include "server/engine/store/upload_store.h"

namespace qtipd {
namespace {

// Fields with their lengths, so that no two lists of fields give the same bytes.
class FieldHash {
 public:
  explicit FieldHash(std::string_view what) { Add(what); }
  FieldHash& Add(std::string_view field) {
    hash_.Update(std::to_string(field.size()) + ":");
    hash_.Update(field);
    return *this;
  }
  FieldHash& Add(int64_t value) { return Add(std::to_string(value)); }
  FieldHash& Add(uint64_t value) { return Add(std::to_string(value)); }
  FieldHash& Add(double value) { return Add(OptionText(value)); }
  FieldHash& Add(const Shape& shape) { return Add(shape.out_features).Add(shape.in_features); }
  FieldHash& Add(const FileSource& file) {
    return Add(UploadStore::ContentOf(file.upload_id)).Add(file.server_path);
  }
  FieldHash& Add(const std::map<std::string, OptionValue>& options) {
    return Add(OptionsToJson(Options(options)));
  }
  std::string Finish() { return hash_.Finish(); }

 private:
  Sha256 hash_;
};

}  // namespace

std::string QuantizeRecipe(const QuantizeSpec& spec, const Options& options, Shape shape,
                           const std::string& source_content) {
  return FieldHash("quantize recipe")
      .Add(spec.format)
      .Add(options.values())
      .Add(shape)
      .Add(spec.seed)
      .Add(source_content)
      .Finish();
}

std::string ImportRecipe(const PackedLayer& layer) {
  FieldHash hash("import recipe");
  hash.Add(layer.format).Add(layer.options.values()).Add(layer.shape);
  for (const auto& [name, tensor] : layer.tensors) {
    hash.Add(name).Add(DTypeName(tensor.dtype())).Add(tensor.ShapeText());
    hash.Add(Sha256Hex(tensor.bytes()));
  }
  return hash.Finish();
}

std::string SpecSha256(const QuantizeSpec& spec) {
  FieldHash hash("quantize");
  hash.Add(spec.name).Add(spec.device).Add(spec.format).Add(spec.options).Add(spec.seed);
  hash.Add(uint64_t{spec.if_absent});
  if (spec.random) hash.Add("random").Add(spec.random->shape).Add(spec.random->seed);
  if (spec.tensor) {
    hash.Add("tensor").Add(spec.tensor->file).Add(spec.tensor->tensor);
    hash.Add(spec.tensor->hessian_tensor).Add(spec.tensor->hessian_file);
    hash.Add(spec.tensor->hessian_name);
  }
  return hash.Finish();
}

std::string SpecSha256(const ImportSpec& spec) {
  FieldHash hash("import");
  hash.Add(spec.name).Add(spec.file).Add(spec.prefix).Add(spec.format).Add(spec.options);
  hash.Add(uint64_t{spec.if_absent}).Add(spec.model_config);
  for (const std::string& tensor : spec.absent_tensors) hash.Add("absent").Add(tensor);
  return hash.Finish();
}

std::string SpecSha256(const CalibrateSpec& spec) {
  return FieldHash("calibrate")
      .Add(spec.name)
      .Add(spec.device)
      .Add(spec.file)
      .Add(spec.tensor)
      .Add(uint64_t{spec.add})
      .Finish();
}

std::string SpecSha256(const BenchmarkSpec& spec) {
  FieldHash hash("benchmark");
  hash.Add(spec.artifact).Add(spec.device).Add(CacheModeName(spec.cache_mode)).Add(spec.seed);
  for (const std::string& path : spec.paths) hash.Add("path").Add(path);
  for (const int64_t batch : spec.batches) hash.Add("batch").Add(batch);
  for (const auto& [name, value] : spec.stopping_parameters)
    hash.Add("stopping").Add(name).Add(value);
  if (!spec.activation_dtype.empty()) hash.Add("activations").Add(spec.activation_dtype);
  return hash.Add(spec.stopping_criterion)
      .Add(uint64_t{spec.lock_clocks})
      .Add(spec.samples)
      .Add(spec.min_samples)
      .Add(spec.max_samples)
      .Add(spec.relative_half_width)
      .Add(spec.max_seconds)
      .Finish();
}

std::string SpecSha256(const ProfileSpec& spec) {
  FieldHash hash("profile");
  hash.Add(spec.artifact).Add(spec.device).Add(spec.path).Add(spec.step).Add(spec.batch);
  hash.Add(spec.preset).Add(uint64_t{spec.samples_instructions}).Add(spec.seed);
  for (const std::string& metric : spec.metrics) hash.Add("metric").Add(metric);
  if (!spec.activation_dtype.empty()) hash.Add("activations").Add(spec.activation_dtype);
  return hash.Finish();
}

}  // namespace qtipd
