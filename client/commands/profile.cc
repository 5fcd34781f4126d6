// qtipctl profile --artifact A --path P [--preset stalls|memory|full | --metrics M,N] [--dry-run]
//                 metrics | list | show ID | compare A B | export ID
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "client/activations.h"
#include "client/commands/commands.h"
#include "client/commands/profile_records.h"
#include "client/operation_wait.h"
#include "client/parse.h"
#include "client/present.h"
#include "client/rpc_status.h"
#include "kernels/api/status.h"

namespace qtipd {
namespace {

using Stub = v1::QtipService::Stub;

// Counts what every rule of the bottleneck looks at.
constexpr char kDefaultPreset[] = "full";

struct ProfileFlags {
  std::string artifact;
  std::string path = "fused";
  std::string step;
  std::string preset;
  std::string metrics;
  int64_t batch = 1;
  std::string seed = "1";
  std::string activations;  // empty: the device's compute dtype
  bool is_dry_run = false;
};

struct MetricFlags {
  std::string chip;
  std::string preset;
  std::string metrics;
  std::string filter;
};

absl::Status CheckBatch(int64_t batch) {
  if (batch >= 1) return absl::OkStatus();
  return UsageError("--batch", std::to_string(batch), "a whole number of at least 1");
}

absl::StatusOr<v1::StartProfileRequest> MakeRequest(const Session& session,
                                                    const ProfileFlags& flags) {
  if (flags.artifact.empty()) {
    return UsageError("--artifact", "nothing", "a value, see 'qtipctl profile --help'");
  }
  if (!flags.preset.empty() && !flags.metrics.empty()) {
    return UsageError("--metrics", "both --metrics and --preset", "one of them");
  }
  QTIPD_RETURN_IF_ERROR(CheckBatch(flags.batch));
  v1::StartProfileRequest request;
  request.set_artifact(flags.artifact);
  request.set_device(session.options().device);
  request.set_path(flags.path);
  request.set_step(flags.step);
  request.set_batch(flags.batch);
  request.set_activation_dtype(ActivationName(flags.activations));
  QTIPD_ASSIGN_OR_RETURN(const uint64_t seed, ParseSeed("--seed", flags.seed));
  request.set_seed(seed);
  if (flags.metrics.empty()) {
    request.set_preset(flags.preset.empty() ? kDefaultPreset : flags.preset);
    return request;
  }
  QTIPD_ASSIGN_OR_RETURN(const std::vector<std::string> metrics,
                         ParseList("--metrics", flags.metrics));
  request.mutable_metrics()->Assign(metrics.begin(), metrics.end());
  return request;
}

// What would be counted: the metrics selected, those that the chip lacks, and the passes.
void PresentSelection(Session& session, const v1::ListMetricsResponse& response) {
  if (session.is_json()) return session.PrintJson(ToJson(response));
  Table table({{"metric", "metric"}, {"counted", "counted"}});
  for (const std::string& name : response.selected_metrics()) table.AddRow({name, "yes"});
  for (const std::string& name : response.unavailable_metrics()) table.AddRow({name, "no"});
  session.Print(table);
  session.PrintNote(absl::StrCat("\n", response.chip(), ": ", response.selected_metrics_size(),
                                 " metrics in ", response.passes(),
                                 response.passes() == 1 ? " pass" : " passes"));
}

void PresentCatalogue(Session& session, const v1::ListMetricsResponse& response) {
  if (session.is_json()) return session.PrintJson(ToJson(response));
  Table table({{"metric", "metric"}, {"description", "description"}});
  for (const v1::MetricDescription& metric : response.metrics()) {
    table.AddRow({metric.name(), metric.description()});
  }
  session.Print(table);
  session.PrintNote(absl::StrCat("\n", response.chip(), ": ", response.metrics_size(), " metrics"));
}

// Refuses what the start of a profile would refuse: a dry run must not promise it.
absl::StatusOr<int> DryRun(Session& session, Connection& connection,
                           const v1::StartProfileRequest& profile) {
  v1::StartProfileRequest question = profile;
  question.set_validate_only(true);
  QTIPD_RETURN_IF_ERROR(connection.Call(&Stub::StartProfile, question).status());
  v1::ListMetricsRequest request;
  request.set_device(profile.device());
  request.set_preset(profile.preset());
  *request.mutable_metrics() = profile.metrics();
  QTIPD_ASSIGN_OR_RETURN(v1::ListMetricsResponse response,
                         connection.Call(&Stub::ListMetrics, request));
  response.clear_metrics();
  PresentSelection(session, response);
  return kExitDone;
}

absl::StatusOr<int> Profile(Session& session, const ProfileFlags& flags) {
  QTIPD_ASSIGN_OR_RETURN(v1::StartProfileRequest request, MakeRequest(session, flags));
  QTIPD_ASSIGN_OR_RETURN(const auto connection, session.ConnectOne());
  if (flags.is_dry_run) return DryRun(session, *connection, request);
  request.set_request_id(NewRequestId());
  QTIPD_ASSIGN_OR_RETURN(const Operation started, connection->Call(&Stub::StartProfile, request));
  QTIPD_ASSIGN_OR_RETURN(const v1::Profile profile,
                         AwaitResult<v1::Profile>(session, *connection, started));
  PresentProfile(session, profile);
  return kExitDone;
}

absl::StatusOr<int> Metrics(Session& session, const MetricFlags& flags) {
  if (!flags.chip.empty() && !session.options().device.empty()) {
    return UsageError("--chip", "both --chip and --device", "one of them");
  }
  v1::ListMetricsRequest request;
  request.set_device(session.options().device);
  request.set_chip(flags.chip);
  request.set_preset(flags.preset);
  request.set_filter(flags.filter);
  if (!flags.metrics.empty()) {
    QTIPD_ASSIGN_OR_RETURN(const std::vector<std::string> metrics,
                           ParseList("--metrics", flags.metrics));
    request.mutable_metrics()->Assign(metrics.begin(), metrics.end());
  }
  QTIPD_ASSIGN_OR_RETURN(const auto connection, session.ConnectOne());
  QTIPD_ASSIGN_OR_RETURN(v1::ListMetricsResponse response,
                         connection->Call(&Stub::ListMetrics, request));
  if (flags.preset.empty() && flags.metrics.empty()) {
    PresentCatalogue(session, response);
    return kExitDone;
  }
  response.clear_metrics();
  PresentSelection(session, response);
  return kExitDone;
}

void AddMetricsVerb(CLI::App& profile, Action& action) {
  auto flags = std::make_shared<MetricFlags>();
  CLI::App* verb = AddVerb(profile, "metrics",
                           "What a device can count; with a preset or names, in how many passes");
  verb->add_option("--chip", flags->chip, "A chip's catalogue without the device: GH100");
  verb->add_option("--filter", flags->filter, "Only names that contain it");
  verb->add_option("--preset", flags->preset, "What stalls, memory or full would count");
  verb->add_option("--metrics", flags->metrics, "What these would take, separated by commas");
  verb->callback([&action, flags] {
    action = [flags](Session& session) { return Metrics(session, *flags); };
  });
}

}  // namespace

void AddProfileCommand(CLI::App& root, Action& action) {
  auto flags = std::make_shared<ProfileFlags>();
  CLI::App* verb = AddVerb(root, "profile", "Explain a path by hardware counters");
  verb->require_subcommand(0, 1);
  verb->add_option("--artifact", flags->artifact, "The artefact's name");
  verb->add_option("--path", flags->path, "dense, dequant or fused")->capture_default_str();
  verb->add_option("--step", flags->step, "One step of the path; all if not given");
  verb->add_option("--preset", flags->preset,
                   "stalls: why warps wait, and at which instructions; memory: traffic and hit "
                   "rates; full (default): both, and how busy the units are");
  verb->add_option("--metrics", flags->metrics,
                   "Metrics by name, separated by commas, instead of a preset; see 'qtipctl "
                   "profile metrics'");
  verb->add_option("--batch", flags->batch, "Batch size")->capture_default_str();
  verb->add_option("--activations", flags->activations,
                   "Their element type: bf16, or the device's own (f16 on a GPU, f32 on a CPU)");
  verb->add_option("--seed", flags->seed, "Of the activations")->capture_default_str();
  verb->add_flag("--dry-run", flags->is_dry_run,
                 "Tell what would be counted and in how many passes, and profile nothing");
  AddMetricsVerb(*verb, action);
  AddProfileRecordVerbs(*verb, action);
  // CLI11 calls this after the callback of a verb below, which has set the action then.
  verb->callback([&action, flags, verb] {
    if (verb->get_subcommands().empty()) {
      action = [flags](Session& session) { return Profile(session, *flags); };
    } else {
      RefuseOwnOptions(*verb, action);
    }
  });
}

}  // namespace qtipd
