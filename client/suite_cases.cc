#include "client/suite_cases.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "client/activations.h"
#include "client/parse.h"
#include "client/rpc_status.h"
#include "kernels/api/status.h"

namespace qtipd {
namespace {

// All combinations of the values from option number `first` on, added to `speed_case`.
void ExpandOptions(const SpeedGroup& group,
                   std::map<std::string, std::vector<v1::OptionValue>>::const_iterator option,
                   SpeedCase& speed_case, std::vector<SpeedCase>& cases) {
  if (option == group.options.end()) {
    cases.push_back(speed_case);
    return;
  }
  for (const v1::OptionValue& value : option->second) {
    speed_case.options[option->first] = value;
    ExpandOptions(group, std::next(option), speed_case, cases);
  }
}

std::vector<SpeedCase> ExpandGroup(const SpeedGroup& group) {
  std::vector<SpeedCase> cases;
  for (const v1::Shape& shape : group.shapes) {
    for (const std::string& distribution : group.distributions) {
      for (const std::string& activations : group.activations) {
        SpeedCase speed_case{.format = group.format,
                             .distribution = distribution == "normal" ? "" : distribution,
                             .shape = shape,
                             .options = {},
                             .batches = group.batches,
                             .activations = activations};
        ExpandOptions(group, group.options.begin(), speed_case, cases);
      }
    }
  }
  return cases;
}

void AddBatches(const std::vector<int64_t>& more, std::vector<int64_t>& batches) {
  std::set<int64_t> all(batches.begin(), batches.end());
  all.insert(more.begin(), more.end());
  batches.assign(all.begin(), all.end());
}

absl::StatusOr<std::vector<int64_t>> Positive(const std::string& axis,
                                              const std::vector<std::string>& texts) {
  std::vector<int64_t> values;
  for (const std::string& text : texts) {
    int64_t value = 0;
    if (!absl::SimpleAtoi(text, &value) || value < 1) {
      return UsageError("--set " + axis, "'" + text + "'", "whole numbers from 1 on");
    }
    values.push_back(value);
  }
  return values;
}

// Every value of one side with every one of the other that the group has.
void SetSide(const std::vector<int64_t>& values, void (v1::Shape::*set)(int64_t),
             SpeedGroup& group) {
  std::vector<v1::Shape> shapes;
  std::set<std::string> known;
  for (v1::Shape shape : group.shapes) {
    for (const int64_t value : values) {
      (shape.*set)(value);
      if (known.insert(ShapeText(shape)).second) shapes.push_back(shape);
    }
  }
  group.shapes = std::move(shapes);
}

std::string AxisNames(const Suite& suite) {
  std::set<std::string> names = {"activations", "batch", "distribution", "in_features",
                                 "out_features"};
  for (const SpeedGroup& group : suite.groups) {
    for (const auto& [name, values] : group.options) names.insert(name);
  }
  return absl::StrJoin(names, ", ");
}

// Whether a group has the option.
bool SetOption(Suite& suite, const std::string& name, const std::vector<std::string>& texts) {
  std::vector<v1::OptionValue> values;
  for (const std::string& text : texts) {
    int64_t integer = 0;
    v1::OptionValue& value = values.emplace_back();
    if (absl::SimpleAtoi(text, &integer)) {
      value.set_integer(integer);
    } else {
      value.set_text(text);  // the daemon converts it
    }
  }
  bool is_known = false;
  for (SpeedGroup& group : suite.groups) {
    const auto option = group.options.find(name);
    if (option == group.options.end()) continue;
    option->second = values;
    is_known = true;
  }
  return is_known;
}

}  // namespace

std::vector<SpeedCase> ExpandCases(const Suite& suite) {
  std::vector<SpeedCase> cases;
  std::map<std::string, size_t> places;
  for (const SpeedGroup& group : suite.groups) {
    for (SpeedCase& speed_case : ExpandGroup(group)) {
      const auto [place, is_new] = places.try_emplace(SpeedCaseText(speed_case), cases.size());
      if (is_new) {
        cases.push_back(std::move(speed_case));
      } else {
        AddBatches(speed_case.batches, cases[place->second].batches);
      }
    }
  }
  return cases;
}

void SetSize(Suite& suite, int64_t size) {
  suite.size = size;
  v1::Shape square;
  square.set_out_features(size);
  square.set_in_features(size);
  for (SpeedGroup& group : suite.groups) group.shapes = {square};
}

absl::Status SetAxis(Suite& suite, const std::string& text) {
  QTIPD_ASSIGN_OR_RETURN(const auto pair, ParseKeyValue("--set", text));
  const auto& [name, list] = pair;
  std::vector<std::string> values = absl::StrSplit(list, ',');
  if (name == "activations") {
    for (std::string& value : values) value = ActivationName(value);
    for (SpeedGroup& group : suite.groups) group.activations = values;
    return absl::OkStatus();
  }
  if (name == "distribution") {
    for (SpeedGroup& group : suite.groups) group.distributions = values;
    return absl::OkStatus();
  }
  if (name == "batch" || name == "in_features" || name == "out_features") {
    QTIPD_ASSIGN_OR_RETURN(const std::vector<int64_t> numbers, Positive(name, values));
    for (SpeedGroup& group : suite.groups) {
      if (name == "batch") group.batches = numbers;
      if (name == "in_features") SetSide(numbers, &v1::Shape::set_in_features, group);
      if (name == "out_features") SetSide(numbers, &v1::Shape::set_out_features, group);
    }
    return absl::OkStatus();
  }
  if (SetOption(suite, name, values)) return absl::OkStatus();
  return UsageError("--set", name, AxisNames(suite));
}

absl::StatusOr<std::vector<SpeedCase>> ChooseCases(const Suite& suite, const CaseFilter& filter) {
  const std::vector<SpeedCase> all = ExpandCases(suite);
  std::vector<SpeedCase> chosen;
  for (const SpeedCase& speed_case : all) {
    const std::string text = SpeedCaseText(speed_case);
    const auto is_in = [&](const std::string& part) {
      return text.find(part) != std::string::npos;
    };
    if (std::ranges::all_of(filter.include, is_in) && std::ranges::none_of(filter.exclude, is_in)) {
      chosen.push_back(speed_case);
    }
  }
  if (!chosen.empty()) return chosen;
  return UsageError(
      "--only, --include and --exclude",
      absl::StrJoin(filter.include, " ") + (filter.exclude.empty() ? "" : " without ") +
          absl::StrJoin(filter.exclude, " "),
      absl::StrCat("parts of a case's text, for example '", SpeedCaseText(all.front()), "'"));
}

}  // namespace qtipd
