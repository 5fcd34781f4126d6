#include "client/output.h"

#include <gtest/gtest.h>

#include "qtipd/v1/benchmark.pb.h"

namespace qtipd {
namespace {

Table SampleTable() {
  Table table({{"name", "name"}, {"median µs", "median_seconds", Align::kRight}});
  table.AddRow({"w2", Cell("13.4", "1.34e-05")});
  table.AddRow({"a,\"b\"", Absent()});
  return table;
}

TEST(RenderTable, AlignsNumbersToTheRightAndEndsNoLineInSpaces) {
  EXPECT_EQ(RenderTable(SampleTable(), OutputFormat::kTable),
            "name   median µs\n"
            "w2          13.4\n"
            "a,\"b\"          -\n");
}

TEST(RenderTable, GivesCsvBaseUnitsAndQuotesWhatNeedsIt) {
  EXPECT_EQ(RenderTable(SampleTable(), OutputFormat::kCsv),
            "name,median_seconds\n"
            "w2,1.34e-05\n"
            "\"a,\"\"b\"\"\",\n");
}

TEST(RenderTable, MarksNumbersInMarkdownAndEscapesPipes) {
  Table table({{"a|b", "a"}, {"n", "n", Align::kRight}});
  table.AddRow({"x|y", "1"});
  EXPECT_EQ(RenderTable(table, OutputFormat::kMarkdown),
            "| a\\|b | n |\n"
            "|---|---:|\n"
            "| x\\|y | 1 |\n");
}

TEST(RenderTable, NeverCutsALongValue) {
  Table table(std::vector<Column>{{"name", "name"}});
  const std::string name(500, 'x');
  table.AddRow({Cell(name)});
  EXPECT_NE(RenderTable(table, OutputFormat::kTable).find(name), std::string::npos);
}

TEST(Table, PrependsAColumnToEveryRow) {
  Table table = SampleTable();
  table.Prepend({"target", "target"}, "host:1");
  EXPECT_EQ(table.columns()[0].header, "target");
  for (const auto& row : table.rows()) EXPECT_EQ(row[0].text, "host:1");
}

TEST(DisplayWidth, CountsColumnsAndNotBytes) {
  EXPECT_EQ(DisplayWidth("µs"), 2u);
  EXPECT_EQ(DisplayWidth("±95 %"), 5u);
  EXPECT_EQ(DisplayWidth("重み"), 4u);
  EXPECT_EQ(DisplayWidth("e\u0301"), 1u);
}

TEST(DisplayWidth, TakesStrayBytesAsTheyAre) { EXPECT_EQ(DisplayWidth("\xff\xc3"), 2u); }

TEST(CsvLine, QuotesLineBreaksAndDoublesQuotes) {
  EXPECT_EQ(CsvLine({"a\nb", "say \"x\"", ""}), "\"a\nb\",\"say \"\"x\"\"\",\n");
}

TEST(ToJson, PrintsDefaultsInLowerCamelCase) {
  v1::BenchmarkResult result;
  result.set_path("fused");
  const auto json = ToJson(result);
  EXPECT_EQ(json["path"], "fused");
  EXPECT_EQ(json["cacheMode"], "");
  EXPECT_EQ(json["tokensPerSecond"], 0);
  EXPECT_FALSE(json.contains("latency"));
}

TEST(ToJson, SurvivesTextThatIsNotUtf8) {
  v1::Run run;
  run.set_id("\xff");
  EXPECT_FALSE(ToJson(run).dump(2, ' ', false, nlohmann::json::error_handler_t::replace).empty());
}

TEST(ParseOutputFormat, NamesWhatIsAllowed) {
  EXPECT_EQ(*ParseOutputFormat("csv"), OutputFormat::kCsv);
  EXPECT_EQ(ParseOutputFormat("yaml").status().message(),
            "--output: got 'yaml', allowed table, json, csv, markdown");
}

}  // namespace
}  // namespace qtipd
