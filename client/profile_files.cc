#include "client/profile_files.h"

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/artifact_view.h"
#include "client/output.h"
#include "client/profile_view.h"
#include "client/suite_files.h"
#include "client/units.h"
#include "kernels/api/error.h"
#include "kernels/api/status.h"

namespace qtipd {
namespace {

std::string Heading(const std::string& text) {
  return absl::StrCat("\n", text, "\n", std::string(text.size(), '-'), "\n");
}

std::string TextOf(const Table& table) { return RenderTable(table, OutputFormat::kTable); }

// "K2", or the artefact's name as a part of a file's name.
std::string RateName(const v1::Profile& profile) {
  const std::string bits = OptionText(profile.format_options(), "bits");
  return bits.empty() ? FolderName(profile.artifact()) : "K" + bits;
}

// The shares of the two kinds of waiting that matter most, in words.
std::string StallConclusion(const v1::Profile& profile) {
  for (const v1::StallReason& stall : profile.stall_reasons()) {
    if (stall.reason() != "selected") continue;
    return absl::StrCat("\nThe reasons sum to ", FormatNumber(StallSum(profile), 4),
                        " %. A warp issues an instruction in ", FormatNumber(stall.percent(), 3),
                        " % of the cycles that it is resident; in all others it waits.\n");
  }
  return absl::StrCat("\nThe reasons sum to ", FormatNumber(StallSum(profile), 4), " %.\n");
}

std::string InstructionSection(const v1::Profile& profile) {
  return absl::StrCat(Heading("Hottest instructions"), TextOf(InstructionTable(profile)), "\n",
                      profile.total_samples(), " samples of waiting or issuing warps in all, ",
                      profile.dropped_samples(), " dropped.\n");
}

}  // namespace

absl::StatusOr<std::string> StallCsv(const v1::Profile& profile) {
  if (profile.stall_reasons().empty()) {
    return FieldError(absl::StatusCode::kFailedPrecondition, "STALLS_NOT_COUNTED", "stall_reasons",
                      "none in profile " + profile.id(),
                      "a profile with --preset stalls or full on a GPU");
  }
  std::string csv = CsvLine({"metric", "label", "pct"});
  for (const v1::StallReason& stall : profile.stall_reasons()) {
    csv +=
        CsvLine({absl::StrCat("smsp__warp_issue_stalled_", stall.reason(), "_per_warp_active.pct"),
                 stall.reason(), absl::StrFormat("%.4f", stall.percent())});
  }
  return csv;
}

std::string ProfileSummary(const v1::Profile& profile) {
  std::string text = absl::StrCat(ProfileTitle(profile), "\n", ProfileMethod(profile), "\n",
                                  "Counters are read while the path is replayed for them: their "
                                  "times are no latencies; 'qtipctl bench' measures those.\n",
                                  Heading("What limits it"), BottleneckText(profile));
  if (!profile.stall_reasons().empty()) {
    absl::StrAppend(&text, Heading("Why warps wait"), TextOf(StallTable(profile)),
                    StallConclusion(profile));
  }
  if (!profile.hot_instructions().empty()) text += InstructionSection(profile);
  if (const Table metrics = MetricTable(profile, /*with_stalls=*/false); !metrics.empty()) {
    absl::StrAppend(&text, Heading("Counters"), TextOf(metrics));
  }
  absl::StrAppend(&text, Heading("Circumstances"), TextOf(ProfileDetails(profile)));
  return text;
}

absl::StatusOr<std::vector<std::string>> WriteProfileFiles(const v1::Profile& profile,
                                                           const std::string& directory) {
  const std::filesystem::path folder = std::filesystem::path(directory) /
                                       FolderName(profile.device_name()) /
                                       FolderName(profile.path());
  const std::string rate = RateName(profile);
  std::vector<std::string> written;
  const auto write = [&](const std::string& name, const std::string& text) {
    written.push_back((folder / name).string());
    return WriteTextFile(folder / name, text);
  };
  if (const absl::StatusOr<std::string> csv = StallCsv(profile); csv.ok()) {
    QTIPD_RETURN_IF_ERROR(write("ncu_stall_" + rate + ".csv", *csv));
  }
  QTIPD_RETURN_IF_ERROR(write("ncu_stall_summary_" + rate + ".txt", ProfileSummary(profile)));
  return written;
}

}  // namespace qtipd
