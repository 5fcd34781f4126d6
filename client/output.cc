#include "client/output.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "client/rpc_status.h"
#include "google/protobuf/util/json_util.h"

namespace qtipd {
namespace {

// The code point at the start of `utf8` and its length in bytes; a stray byte stands for itself.
std::pair<char32_t, size_t> DecodeOne(std::string_view utf8) {
  const auto lead = static_cast<uint8_t>(utf8[0]);
  const size_t length = lead < 0xC0 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  if (length == 1 || length > utf8.size()) return {lead, 1};
  char32_t point = lead & (0x7F >> length);
  for (size_t i = 1; i < length; ++i) point = point << 6 | (static_cast<uint8_t>(utf8[i]) & 0x3F);
  return {point, length};
}

struct PointRange {
  char32_t first, last;
};
// Combining marks and invisible joiners; then East Asian Wide blocks and emoji (Unicode 15, UAX
// #11).
constexpr PointRange kZeroWidth[] = {
    {0x0300, 0x036F}, {0x1AB0, 0x1AFF}, {0x200B, 0x200F}, {0x20D0, 0x20FF}, {0xFE00, 0xFE0F}};
constexpr PointRange kDoubleWidth[] = {
    {0x1100, 0x115F}, {0x2E80, 0xA4CF}, {0xAC00, 0xD7A3},   {0xF900, 0xFAFF},   {0xFE30, 0xFE6F},
    {0xFF00, 0xFF60}, {0xFFE0, 0xFFE6}, {0x1F300, 0x1F64F}, {0x1F900, 0x1F9FF}, {0x20000, 0x3FFFD}};

template <size_t N>
bool IsIn(const PointRange (&ranges)[N], char32_t point) {
  return std::any_of(std::begin(ranges), std::end(ranges), [point](const PointRange& range) {
    return point >= range.first && point <= range.last;
  });
}

std::string Pad(const std::string& text, size_t width, Align align) {
  const std::string spaces(width - std::min(width, DisplayWidth(text)), ' ');
  return align == Align::kRight ? spaces + text : text + spaces;
}

std::string RenderAligned(const Table& table) {
  std::vector<size_t> widths;
  for (size_t c = 0; c < table.columns().size(); ++c) {
    widths.push_back(DisplayWidth(table.columns()[c].header));
    for (const auto& row : table.rows()) {
      widths[c] = std::max(widths[c], DisplayWidth(row[c].text));
    }
  }
  std::string text;
  const auto add_line = [&](const auto& text_of) {
    std::string line;
    for (size_t c = 0; c < widths.size(); ++c) {
      line += (c == 0 ? "" : "  ") + Pad(text_of(c), widths[c], table.columns()[c].align);
    }
    text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  };
  add_line([&](size_t c) { return table.columns()[c].header; });
  for (const auto& row : table.rows()) add_line([&](size_t c) { return row[c].text; });
  return text;
}

std::string EscapePipes(const std::string& text) {
  std::string escaped;
  for (char c : text) escaped += c == '|' ? std::string("\\|") : std::string(1, c);
  return escaped;
}

std::string RenderMarkdown(const Table& table) {
  std::string header = "|";
  std::string rule = "|";
  for (const Column& column : table.columns()) {
    header += " " + EscapePipes(column.header) + " |";
    rule += column.align == Align::kRight ? "---:|" : "---|";
  }
  std::string text = header + "\n" + rule + "\n";
  for (const auto& row : table.rows()) {
    text += "|";
    for (const Cell& cell : row) text += " " + EscapePipes(cell.text) + " |";
    text += "\n";
  }
  return text;
}

std::string RenderCsv(const Table& table) {
  std::vector<std::string> fields;
  for (const Column& column : table.columns()) fields.push_back(column.key);
  std::string text = CsvLine(fields);
  for (const auto& row : table.rows()) {
    fields.clear();
    for (const Cell& cell : row) fields.push_back(cell.raw);
    text += CsvLine(fields);
  }
  return text;
}

}  // namespace

absl::StatusOr<OutputFormat> ParseOutputFormat(std::string_view text) {
  if (text == "table") return OutputFormat::kTable;
  if (text == "json") return OutputFormat::kJson;
  if (text == "csv") return OutputFormat::kCsv;
  if (text == "markdown") return OutputFormat::kMarkdown;
  return UsageError("--output", "'" + std::string(text) + "'", "table, json, csv, markdown");
}

void Table::Prepend(const Column& column, const std::string& text) {
  columns_.insert(columns_.begin(), column);
  for (auto& row : rows_) row.insert(row.begin(), Cell(text));
}

void Table::Append(const Table& other) {
  rows_.insert(rows_.end(), other.rows_.begin(), other.rows_.end());
}

std::string RenderTable(const Table& table, OutputFormat format) {
  if (format == OutputFormat::kCsv) return RenderCsv(table);
  if (format == OutputFormat::kMarkdown) return RenderMarkdown(table);
  return RenderAligned(table);
}

std::string CsvLine(const std::vector<std::string>& fields) {
  std::string line;
  for (size_t i = 0; i < fields.size(); ++i) {
    if (i > 0) line += ',';
    if (fields[i].find_first_of(",\"\r\n") == std::string::npos) {
      line += fields[i];
      continue;
    }
    line += '"';
    for (char c : fields[i]) line += c == '"' ? std::string("\"\"") : std::string(1, c);
    line += '"';
  }
  return line + "\n";
}

size_t DisplayWidth(std::string_view utf8) {
  size_t width = 0;
  while (!utf8.empty()) {
    const auto [point, length] = DecodeOne(utf8);
    width += IsIn(kZeroWidth, point) ? 0 : IsIn(kDoubleWidth, point) ? 2 : 1;
    utf8.remove_prefix(length);
  }
  return width;
}

nlohmann::ordered_json ToJson(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.always_print_primitive_fields = true;
  std::string text;
  const auto status = google::protobuf::util::MessageToJsonString(message, &text, options);
  auto json = nlohmann::ordered_json::parse(text, nullptr, /*allow_exceptions=*/false);
  // An Any of an unknown type, or text that is no UTF-8: still worth printing.
  if (!status.ok() || json.is_discarded()) return {{"unprintable", message.ShortDebugString()}};
  return json;
}

}  // namespace qtipd
