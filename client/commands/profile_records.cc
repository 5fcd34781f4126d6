// qtipctl profile list | show ID | compare A B | export ID [--out DIR]
#include "client/commands/profile_records.h"

#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/pages.h"
#include "client/present.h"
#include "client/profile_compare.h"
#include "client/profile_files.h"
#include "client/profile_view.h"
#include "client/rpc_status.h"
#include "kernels/api/status.h"

namespace qtipd {
namespace {

using Stub = v1::QtipService::Stub;

absl::StatusOr<v1::Profile> Get(Connection& connection, const std::string& id) {
  v1::GetProfileRequest request;
  request.set_id(id);
  return connection.Call(&Stub::GetProfile, request);
}

absl::StatusOr<Reply> List(Connection& connection) {
  v1::ListProfilesRequest request;
  request.set_page_size(1000);
  QTIPD_ASSIGN_OR_RETURN(const std::vector<v1::Profile> profiles,
                         ListAll<v1::Profile>(
                             connection, connection.qtip(), &Stub::ListProfiles, request,
                             [](const auto& page) -> auto& { return page.profiles(); }));
  return Reply{ToJsonList("profiles", profiles), ProfileTable(profiles)};
}

absl::StatusOr<int> Show(Session& session, const std::string& id) {
  QTIPD_ASSIGN_OR_RETURN(const auto connection, session.ConnectOne());
  QTIPD_ASSIGN_OR_RETURN(const v1::Profile profile, Get(*connection, id));
  if (session.options().output == OutputFormat::kTable ||
      session.options().output == OutputFormat::kMarkdown) {
    session.Print(ProfileDetails(profile));
    session.PrintNote("");
  }
  PresentProfile(session, profile);
  return kExitDone;
}

struct CompareFlags {
  std::string a;
  std::string b;
};

absl::StatusOr<int> Compare(Session& session, const CompareFlags& flags) {
  QTIPD_ASSIGN_OR_RETURN(const auto connection, session.ConnectOne());
  QTIPD_ASSIGN_OR_RETURN(const v1::Profile a, Get(*connection, flags.a));
  QTIPD_ASSIGN_OR_RETURN(const v1::Profile b, Get(*connection, flags.b));
  if (session.is_json()) {
    session.PrintJson(CompareJson(a, b));
    return kExitDone;
  }
  // CSV holds one table.
  if (session.options().output != OutputFormat::kCsv) {
    session.Print(FactTable(a, b));
    session.PrintNote("");
  }
  session.Print(MetricPairTable(a, b));
  return kExitDone;
}

struct ExportFlags {
  std::string id;
  std::string out;  // empty: stdout
};

absl::StatusOr<int> ExportToStdout(Session& session, const v1::Profile& profile) {
  if (session.is_json()) {
    session.PrintJson(ToJson(profile));
  } else if (session.options().output == OutputFormat::kCsv) {
    QTIPD_ASSIGN_OR_RETURN(const std::string csv, StallCsv(profile));
    session.out() << csv;
  } else {
    session.out() << ProfileSummary(profile);
  }
  return kExitDone;
}

absl::StatusOr<int> Export(Session& session, const ExportFlags& flags) {
  QTIPD_ASSIGN_OR_RETURN(const auto connection, session.ConnectOne());
  QTIPD_ASSIGN_OR_RETURN(const v1::Profile profile, Get(*connection, flags.id));
  if (flags.out.empty()) return ExportToStdout(session, profile);
  QTIPD_ASSIGN_OR_RETURN(const std::vector<std::string> files,
                         WriteProfileFiles(profile, flags.out));
  if (session.is_json()) {
    session.PrintJson({{"profile", profile.id()}, {"files", files}});
    return kExitDone;
  }
  Table table({{"profile", "profile"}, {"file", "file"}});
  for (const std::string& file : files) table.AddRow({profile.id(), file});
  session.Print(table);
  return kExitDone;
}

void AddCompareVerb(CLI::App& profile, Action& action) {
  auto flags = std::make_shared<CompareFlags>();
  CLI::App* verb = AddVerb(profile, "compare", "Two of them side by side, with differences");
  verb->add_option("A", flags->a, "A profile's id")->required();
  verb->add_option("B", flags->b, "Another one's")->required();
  verb->callback([&action, flags] {
    action = [flags](Session& session) { return Compare(session, *flags); };
  });
}

void AddExportVerb(CLI::App& profile, Action& action) {
  auto flags = std::make_shared<ExportFlags>();
  CLI::App* verb = AddVerb(profile, "export", "The stall reasons as CSV, and a text that explains");
  verb->add_option("ID", flags->id, "The profile's id")->required();
  verb->add_option("--out", flags->out,
                   "Files go to DIR/<device name>/<path>/; if not given the text is printed, and "
                   "the CSV with -o csv");
  verb->callback(
      [&action, flags] { action = [flags](Session& session) { return Export(session, *flags); }; });
}

}  // namespace

void AddProfileRecordVerbs(CLI::App& profile, Action& action) {
  AddVerb(profile, "list", "All of them, newest first")->callback([&action] {
    action = [](Session& session) { return ReadFromTargets(session, List); };
  });
  auto id = std::make_shared<std::string>();
  CLI::App* show = AddVerb(profile, "show", "One with its circumstances and all its counters");
  show->add_option("ID", *id, "The profile's id")->required();
  show->callback([&action, id] { action = [id](Session& session) { return Show(session, *id); }; });
  AddCompareVerb(profile, action);
  AddExportVerb(profile, action);
}

}  // namespace qtipd
