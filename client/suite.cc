#include "client/suite.h"

#include <sstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/benchmark.h"
#include "kernels/api/error.h"
#include "kernels/api/status.h"
#include "toml++/toml.h"

namespace qtipd {
namespace {

// Reads typed keys of one file and remembers the first that is missing or of another type.
class Reader {
 public:
  Reader(std::string_view file, const toml::table& table) : file_(file), table_(table) {}

  template <typename T>
  T Get(std::string_view key, std::string_view type) {
    const auto value = table_.at_path(key).value<T>();
    if (!value) Fail(key, type);
    return value.value_or(T{});
  }

  template <typename T>
  std::vector<T> GetList(std::string_view key, std::string_view type) {
    std::vector<T> values;
    if (const toml::array* array = table_.at_path(key).as_array()) {
      for (const toml::node& node : *array) {
        if (const auto value = node.value<T>()) values.push_back(*value);
      }
      if (values.size() == array->size() && !values.empty()) return values;
    }
    Fail(key, type);
    return values;
  }

  void Fail(std::string_view key, std::string_view allowed) {
    if (!status_.ok()) return;
    std::ostringstream got;
    if (const auto node = table_.at_path(key)) got << node;
    status_ =
        InvalidField("SUITE_INVALID", absl::StrCat(std::string(file_), ": ", std::string(key)),
                     got.str().empty() ? "nothing" : got.str(), allowed);
  }
  const absl::Status& status() const { return status_; }

 private:
  const std::string_view file_;
  const toml::table& table_;
  absl::Status status_;
};

void ReadOptions(const toml::table& file, Reader& reader, OptionMap& options) {
  const toml::table* table = file["options"].as_table();
  if (table == nullptr) return;
  for (const auto& [key, node] : *table) {
    v1::OptionValue value;
    if (const auto integer = node.as_integer()) {
      value.set_integer(integer->get());
    } else if (const auto number = node.as_floating_point()) {
      value.set_number(number->get());
    } else if (const auto boolean = node.as_boolean()) {
      value.set_boolean(boolean->get());
    } else if (const auto text = node.as_string()) {
      value.set_text(text->get());
    } else {
      reader.Fail(absl::StrCat("options.", std::string(key.str())),
                  "a number, a boolean or a text");
    }
    options[std::string(key.str())] = value;
  }
}

void ReadBenchmark(Reader& reader, v1::StartBenchmarkRequest& request) {
  for (const std::string& path :
       reader.GetList<std::string>("benchmark.paths", "a list of paths")) {
    request.add_paths(path);
  }
  request.add_batches(reader.Get<int64_t>("benchmark.batch", "a whole number"));
  const auto cache =
      ParseCacheMode("benchmark.cache", reader.Get<std::string>("benchmark.cache", kCacheModes));
  if (cache.ok()) {
    request.set_cache_mode(*cache);
  } else {
    reader.Fail("benchmark.cache", kCacheModes);
  }
  request.mutable_stopping()->set_samples(
      reader.Get<int64_t>("benchmark.samples", "a whole number"));
  request.set_seed(static_cast<uint64_t>(reader.Get<int64_t>("benchmark.seed", "a whole number")));
}

}  // namespace

absl::StatusOr<Suite> ParseSuite(const SuiteSource& source) {
  toml::table file;
  try {
    file = toml::parse(source.text, source.file);
  } catch (const toml::parse_error& error) {
    return InvalidField("SUITE_INVALID", std::string(source.file), error.what(), "a TOML file");
  }
  Reader reader(source.file, file);
  Suite suite;
  suite.name = reader.Get<std::string>("name", "a text");
  suite.summary = reader.Get<std::string>("summary", "a text");
  suite.format = reader.Get<std::string>("format", "a weight format's id");
  suite.bits = reader.GetList<int64_t>("bits", "a list of whole numbers");
  suite.size = reader.Get<int64_t>("size", "a whole number");
  suite.seed = static_cast<uint64_t>(reader.Get<int64_t>("seed", "a whole number"));
  ReadOptions(file, reader, suite.options);
  ReadBenchmark(reader, suite.benchmark);
  QTIPD_RETURN_IF_ERROR(reader.status());
  return suite;
}

absl::StatusOr<Suite> FindSuite(const std::string& name) {
  std::vector<std::string> names;
  for (const SuiteSource& source : BuiltinSuites()) {
    QTIPD_ASSIGN_OR_RETURN(Suite suite, ParseSuite(source));
    if (suite.name == name) return suite;
    names.push_back(suite.name);
  }
  return FieldError(absl::StatusCode::kNotFound, "SUITE_NOT_FOUND", "suite", "'" + name + "'",
                    absl::StrJoin(names, ", "));
}

std::string SuiteArtifactName(const Suite& suite, int64_t bits) {
  return absl::StrCat("suite/", suite.name, "/", suite.size, "/k", bits);
}

v1::StartQuantizeRequest SuiteQuantizeRequest(const Suite& suite, int64_t bits) {
  v1::StartQuantizeRequest request;
  request.set_name(SuiteArtifactName(suite, bits));
  request.set_format(suite.format);
  *request.mutable_format_options() = suite.options;
  (*request.mutable_format_options())["bits"].set_integer(bits);
  request.mutable_random()->mutable_shape()->set_out_features(suite.size);
  request.mutable_random()->mutable_shape()->set_in_features(suite.size);
  request.mutable_random()->set_seed(suite.seed);
  request.set_seed(suite.seed);
  request.set_if_absent(true);
  return request;
}

}  // namespace qtipd
