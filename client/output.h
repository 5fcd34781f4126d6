// What commands print: tables for people and spreadsheets, JSON for programs.
#ifndef QTIPD_CLIENT_OUTPUT_H_
#define QTIPD_CLIENT_OUTPUT_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "google/protobuf/message.h"
#include "nlohmann/json.hpp"

namespace qtipd {

enum class OutputFormat { kTable, kJson, kCsv, kMarkdown };

absl::StatusOr<OutputFormat> ParseOutputFormat(std::string_view text);

enum class Align { kLeft, kRight };

struct Column {
  std::string header;  // for people: "median µs"
  std::string key;     // for CSV: "median_seconds"
  Align align = Align::kLeft;
};

// One value: how a person reads it, and the same in base units and full precision for CSV.
struct Cell {
  std::string text;
  std::string raw;

  Cell(std::string same) : text(same), raw(std::move(same)) {}  // NOLINT: a cell is mostly a text
  Cell(const char* same) : Cell(std::string(same)) {}           // NOLINT
  Cell(std::string shown, std::string exact) : text(std::move(shown)), raw(std::move(exact)) {}
};

// Not measured, or not known: "-" for people, nothing in CSV.
inline Cell Absent() { return Cell("-", ""); }

class Table {
 public:
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  // `cells` has one cell a column.
  void AddRow(std::vector<Cell> cells) { rows_.push_back(std::move(cells)); }
  // Puts a column with the same `text` in every row before all others.
  void Prepend(const Column& column, const std::string& text);
  // Adds the rows of a table with the same columns.
  void Append(const Table& other);

  const std::vector<Column>& columns() const { return columns_; }
  const std::vector<std::vector<Cell>>& rows() const { return rows_; }
  bool empty() const { return rows_.empty(); }

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<Cell>> rows_;
};

// Renders as aligned text, CSV (RFC 4180, but lines end with \n) or Markdown; nothing is ever cut.
// kJson is not a format of tables.
std::string RenderTable(const Table& table, OutputFormat format);

// "key,value" with CSV quoting where it is needed.
std::string CsvLine(const std::vector<std::string>& fields);

// Columns of a terminal that `utf8` takes; wide East Asian characters take two, combining ones
// none.
size_t DisplayWidth(std::string_view utf8);

// proto3 JSON, lower camel case, default-valued fields included.
nlohmann::ordered_json ToJson(const google::protobuf::Message& message);
// {"<field>": [...]}
template <typename Messages>
nlohmann::ordered_json ToJsonList(const std::string& field, const Messages& messages) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const auto& message : messages) list.push_back(ToJson(message));
  return {{field, std::move(list)}};
}

}  // namespace qtipd

#endif  // QTIPD_CLIENT_OUTPUT_H_
