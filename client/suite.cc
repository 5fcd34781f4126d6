#include "client/suite.h"

#include <algorithm>
#include <sstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "client/activations.h"
#include "client/benchmark.h"
#include "client/parse.h"
#include "kernels/api/error.h"
#include "kernels/api/status.h"
#include "toml++/toml.h"

namespace qtipd {
namespace {

constexpr char kShapes[] = "a list of shapes such as '4096x14336'";

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

v1::OptionValue ReadOption(const std::string& name, const toml::node& node, Reader& reader) {
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
    reader.Fail(name, "a number, a boolean or a text");
  }
  return value;
}

void ReadOptions(const toml::table& file, Reader& reader, OptionMap& options) {
  const toml::table* table = file["options"].as_table();
  if (table == nullptr) return;
  for (const auto& [key, node] : *table) {
    const std::string name(key.str());
    options[name] = ReadOption("options." + name, node, reader);
  }
}

// All keys of a cell but those of the published value are options.
void ReadCells(const toml::array& array, Reader& reader, std::vector<DistortionCell>& cells) {
  for (size_t i = 0; i < array.size(); ++i) {
    const std::string path = absl::StrCat("cells[", i, "]");
    DistortionCell& cell = cells.emplace_back();
    cell.published = reader.Get<double>(path + ".published", "a number");
    const toml::table* table = array[i].as_table();
    if (table == nullptr) continue;
    cell.published_error = (*table)["published_error"].value<double>();
    for (const auto& [key, node] : *table) {
      const std::string name(key.str());
      if (name.starts_with("published")) continue;
      cell.options[name] = ReadOption(path + "." + name, node, reader);
    }
  }
}

// The value of an option, or a list of values.
std::vector<v1::OptionValue> ReadValues(const std::string& path, const toml::node& node,
                                        Reader& reader) {
  const toml::array* list = node.as_array();
  if (list == nullptr) return {ReadOption(path, node, reader)};
  std::vector<v1::OptionValue> values;
  for (const toml::node& value : *list) values.push_back(ReadOption(path, value, reader));
  if (values.empty()) reader.Fail(path, "at least one value");
  return values;
}

constexpr std::string_view kGroupKeys[] = {"format", "distributions", "activations", "shapes",
                                           "batches"};

// All keys but those of every group are options of the format.
void ReadGroup(const toml::table& table, const std::string& path, Reader& reader,
               SpeedGroup& group) {
  if (table.contains("format")) {
    group.format = reader.Get<std::string>(path + ".format", "a weight format's id");
  }
  if (table.contains("distributions")) {
    group.distributions =
        reader.GetList<std::string>(path + ".distributions", "a list of distributions");
  }
  if (table.contains("activations")) {
    group.activations.clear();
    for (const std::string& text : reader.GetList<std::string>(
             path + ".activations", "a list of 'bf16' and 'default', the device's own")) {
      group.activations.push_back(ActivationName(text));
    }
  }
  group.batches = reader.GetList<int64_t>(path + ".batches", "a list of whole numbers");
  for (const std::string& text : reader.GetList<std::string>(path + ".shapes", kShapes)) {
    const absl::StatusOr<v1::Shape> shape = ParseShape(path + ".shapes", text);
    if (!shape.ok()) return reader.Fail(path + ".shapes", kShapes);
    group.shapes.push_back(*shape);
  }
  for (const auto& [key, node] : table) {
    const std::string name(key.str());
    if (std::ranges::find(kGroupKeys, name) != std::end(kGroupKeys)) continue;
    group.options[name] = ReadValues(path + "." + name, node, reader);
  }
}

void ReadGroups(const toml::array& array, Reader& reader, Suite& suite) {
  for (size_t i = 0; i < array.size(); ++i) {
    const std::string path = absl::StrCat("cases[", i, "]");
    if (const toml::table* table = array[i].as_table()) {
      suite.groups.push_back({.format = suite.format});
      ReadGroup(*table, path, reader, suite.groups.back());
    } else {
      reader.Fail(path, "a table");
    }
  }
}

constexpr std::pair<std::string_view, SpeedReport> kReports[] = {
    {"speeds", SpeedReport::kSpeeds},
    {"tiny-gemm", SpeedReport::kTinyGemm},
    {"sweep", SpeedReport::kSweep},
    {"frontier", SpeedReport::kFrontier}};

void ReadReport(Reader& reader, SpeedReport& report) {
  constexpr char kAllowed[] = "speeds, tiny-gemm, sweep, frontier";
  const auto name = reader.Get<std::string>("report", kAllowed);
  for (const auto& [known, value] : kReports) {
    if (name == known) {
      report = value;
      return;
    }
  }
  reader.Fail("report", kAllowed);
}

// All but the batches.
void ReadBenchmark(Reader& reader, v1::StartBenchmarkRequest& request) {
  for (const std::string& path :
       reader.GetList<std::string>("benchmark.paths", "a list of paths")) {
    request.add_paths(path);
  }
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

v1::Shape Square(int64_t size) {
  v1::Shape shape;
  shape.set_out_features(size);
  shape.set_in_features(size);
  return shape;
}

// "bits-2_code-hyb" of "bits=2 code=hyb", for names of artefacts.
std::string NamePart(const std::string& text) {
  return absl::StrReplaceAll(text, {{" ", "_"}, {"=", "-"}});
}

// "qtip bits=2 code=hyb", and the distribution where it is not normal.
std::string CaseWithoutShape(const SpeedCase& speed_case) {
  std::vector<std::string> parts = {speed_case.format};
  if (!speed_case.options.empty()) parts.push_back(OptionsText(speed_case.options));
  if (!speed_case.distribution.empty()) parts.push_back(speed_case.distribution);
  return absl::StrJoin(parts, " ");
}

// Quantizes a matrix of N(0,1) numbers, or finds it there from an earlier run.
v1::StartQuantizeRequest RandomMatrixRequest(const Suite& suite, const v1::Shape& shape,
                                             uint64_t seed) {
  v1::StartQuantizeRequest request;
  request.set_format(suite.format);
  *request.mutable_format_options() = suite.options;
  *request.mutable_random()->mutable_shape() = shape;
  request.mutable_random()->set_seed(seed);
  request.set_seed(seed);
  request.set_if_absent(true);
  return request;
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
  suite.seed = static_cast<uint64_t>(reader.Get<int64_t>("seed", "a whole number"));
  ReadOptions(file, reader, suite.options);
  if (const toml::array* cells = file["cells"].as_array()) {
    suite.size = reader.Get<int64_t>("size", "a whole number");
    suite.matrices = reader.Get<int64_t>("matrices", "a whole number");
    ReadCells(*cells, reader, suite.cells);
  } else if (const toml::array* cases = file["cases"].as_array()) {
    suite.repeats = reader.Get<int64_t>("repeats", "a whole number");
    ReadReport(reader, suite.report);
    ReadGroups(*cases, reader, suite);
    ReadBenchmark(reader, suite.benchmark);
  } else {
    suite.size = reader.Get<int64_t>("size", "a whole number");
    suite.bits = reader.GetList<int64_t>("bits", "a list of whole numbers");
    ReadBenchmark(reader, suite.benchmark);
    suite.benchmark.add_batches(reader.Get<int64_t>("benchmark.batch", "a whole number"));
  }
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
  v1::StartQuantizeRequest request = RandomMatrixRequest(suite, Square(suite.size), suite.seed);
  request.set_name(SuiteArtifactName(suite, bits));
  (*request.mutable_format_options())["bits"].set_integer(bits);
  return request;
}

v1::StartQuantizeRequest DistortionQuantizeRequest(const Suite& suite, const DistortionCell& cell,
                                                   int64_t index) {
  v1::StartQuantizeRequest request =
      RandomMatrixRequest(suite, Square(suite.size), suite.seed + static_cast<uint64_t>(index));
  request.set_name(absl::StrCat("suite/", suite.name, "/", suite.size, "/",
                                NamePart(OptionsText(cell.options)), "/", index));
  for (const auto& [name, value] : cell.options) (*request.mutable_format_options())[name] = value;
  return request;
}

std::string SpeedCaseText(const SpeedCase& speed_case) {
  const std::string& activations = speed_case.activations;
  return absl::StrCat(ShapeText(speed_case.shape), " ", CaseWithoutShape(speed_case),
                      activations.empty() ? "" : " activations=" + activations);
}

v1::StartQuantizeRequest SpeedQuantizeRequest(const Suite& suite, const SpeedCase& speed_case) {
  v1::StartQuantizeRequest request = RandomMatrixRequest(suite, speed_case.shape, suite.seed);
  request.set_format(speed_case.format);
  request.mutable_random()->set_distribution(speed_case.distribution);
  request.set_name(absl::StrCat("suite/", suite.name, "/", ShapeText(speed_case.shape), "/",
                                NamePart(CaseWithoutShape(speed_case))));
  for (const auto& [name, value] : speed_case.options) {
    (*request.mutable_format_options())[name] = value;
  }
  return request;
}

}  // namespace qtipd
