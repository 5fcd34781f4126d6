#include "client/present.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/artifact_view.h"
#include "client/model_view.h"
#include "client/profile_view.h"
#include "client/rpc_status.h"
#include "client/run_view.h"
#include "client/units.h"
#include "kernels/api/error.h"

namespace qtipd {
namespace {

absl::Status InaccurateOutput(const v1::Run& run, const v1::BenchmarkResult& result) {
  return FieldError(absl::StatusCode::kDataLoss, "OUTPUT_INACCURATE",
                    absl::StrCat(run.artifact(), " ", result.path(), " batch=", result.batch(),
                                 " relative_error"),
                    FormatError(result.relative_error()),
                    "at most " + FormatError(result.relative_error_bound()));
}

// A table and the empty line after it.
void PrintSection(Session& session, const Table& table) {
  session.Print(table);
  session.PrintNote("");
}

}  // namespace

void PresentArtifact(Session& session, const v1::Artifact& artifact) {
  if (session.is_json()) {
    session.PrintJson(ToJson(artifact));
  } else {
    session.Print(ArtifactTable({artifact}));
  }
}

void PresentModel(Session& session, const v1::Model& model) {
  if (session.is_json()) return session.PrintJson(ToJson(model));
  session.Print(ModelTable(model));
  if (const std::string absent = AbsentText(model); !absent.empty()) session.PrintNote(absent);
}

void PresentRuns(Session& session, const std::vector<v1::Run>& runs) {
  if (session.is_json()) {
    session.PrintJson(runs.size() == 1 ? ToJson(runs[0]) : ToJsonList("runs", runs));
    return;
  }
  session.Print(ResultTable(runs));
  if (session.options().output == OutputFormat::kCsv) return;
  if (const Table steps = StepTable(runs); !steps.empty()) {
    session.PrintNote("");
    session.Print(steps);
  }
  session.PrintNote("");
  for (const v1::Run& run : runs) {
    session.PrintNote(absl::StrCat("run ", run.id(), ": ", run.artifact(), " ",
                                   FormatAndCode(run.format(), run.format_options()), " ",
                                   ShapeText(run.shape()), " on ", run.device(), ", ",
                                   run.device_name(), ", ", FormatSeconds(run.seconds())));
  }
}

void PresentProfile(Session& session, const v1::Profile& profile) {
  if (session.is_json()) return session.PrintJson(ToJson(profile));
  const bool is_csv = session.options().output == OutputFormat::kCsv;
  const Table metrics = MetricTable(profile, /*with_stalls=*/is_csv);
  if (is_csv) return session.Print(metrics);
  if (!metrics.empty()) PrintSection(session, metrics);
  if (!profile.stall_reasons().empty()) {
    session.Print(StallTable(profile));
    session.PrintNote(
        absl::StrCat("\nthe reasons sum to ", FormatNumber(StallSum(profile), 4), " %\n"));
  }
  if (!profile.hot_instructions().empty()) PrintSection(session, InstructionTable(profile));
  session.PrintNote(BottleneckText(profile));
  if (!profile.unavailable_metrics().empty()) {
    session.PrintNote(
        absl::StrCat("not counted here: ", absl::StrJoin(profile.unavailable_metrics(), ", ")));
  }
  session.PrintNote(absl::StrCat(ProfileTitle(profile), "\n", ProfileMethod(profile)));
}

int JudgeRuns(Session& session, const std::vector<v1::Run>& runs) {
  int exit_code = kExitDone;
  int measured = 0;
  for (const v1::Run& run : runs) {
    for (const v1::BenchmarkResult& result : run.results()) {
      if (result.has_error()) {
        session.err() << run.artifact() << " " << result.path() << " batch=" << result.batch()
                      << " was not measured: " << ErrorLine(FromRpcStatus(result.error())).substr(7)
                      << "\n";
        continue;
      }
      ++measured;
      if (result.relative_error_bound() > 0 &&
          !(result.relative_error() <= result.relative_error_bound())) {
        session.PrintError(InaccurateOutput(run, result));
        exit_code = kExitCheckFailed;
      }
    }
  }
  return measured == 0 ? kExitError : exit_code;
}

}  // namespace qtipd
