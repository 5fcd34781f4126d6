// qtipctl calibrate --name H --input FILE --tensor T [--add], and list | show NAME | delete NAME
#include <filesystem>
#include <memory>

#include "client/commands/commands.h"
#include "client/model_view.h"
#include "client/operation_wait.h"
#include "client/pages.h"
#include "client/rpc_status.h"
#include "client/transfer.h"
#include "kernels/io/safetensors.h"

namespace qtipd {
namespace {

using Stub = v1::QtipService::Stub;

struct CalibrateFlags {
  std::string name;
  std::string input;
  std::string server_path;
  std::string tensor;
  bool add = false;
};

absl::Status CheckFlags(const CalibrateFlags& flags) {
  if (flags.name.empty()) return UsageError("--name", "nothing", "the Hessian's name");
  if (flags.tensor.empty()) {
    return UsageError("--tensor", "nothing", "the name of a tensor in the file");
  }
  if (flags.input.empty() != flags.server_path.empty()) return absl::OkStatus();
  return UsageError("source", flags.input.empty() ? "nothing" : "both --input and --server-path",
                    "one of --input, --server-path");
}

absl::StatusOr<int> Calibrate(Session& session, const CalibrateFlags& flags) {
  QTIPD_RETURN_IF_ERROR(CheckFlags(flags));
  v1::StartCalibrateRequest request;
  request.set_request_id(NewRequestId());
  request.set_name(flags.name);
  request.set_tensor(flags.tensor);
  request.set_add(flags.add);
  request.set_device(session.options().device);
  request.mutable_file()->set_server_path(flags.server_path);
  TensorMap sent;
  if (!flags.input.empty()) {
    QTIPD_ASSIGN_OR_RETURN(const SafetensorsFile file, ReadSafetensors(flags.input));
    QTIPD_ASSIGN_OR_RETURN(sent[flags.tensor], FindTensor(file.tensors, flags.tensor, flags.input));
    request.set_display_name(std::filesystem::path(flags.input).filename().string());
  }
  QTIPD_ASSIGN_OR_RETURN(const auto connection, session.ConnectOne());
  if (!sent.empty()) {
    QTIPD_ASSIGN_OR_RETURN(*request.mutable_file()->mutable_upload_id(),
                           UploadTensors(session, *connection, sent, request.display_name()));
  }
  QTIPD_ASSIGN_OR_RETURN(const Operation started, connection->Call(&Stub::StartCalibrate, request));
  QTIPD_ASSIGN_OR_RETURN(const v1::Hessian hessian,
                         AwaitResult<v1::Hessian>(session, *connection, started));
  if (session.is_json()) {
    session.PrintJson(ToJson(hessian));
  } else {
    session.Print(HessianTable({hessian}));
  }
  return kExitDone;
}

absl::StatusOr<Reply> List(Connection& connection) {
  v1::ListHessiansRequest request;
  request.set_page_size(1000);
  QTIPD_ASSIGN_OR_RETURN(const std::vector<v1::Hessian> hessians,
                         ListAll<v1::Hessian>(
                             connection, connection.qtip(), &Stub::ListHessians, request,
                             [](const auto& page) -> auto& { return page.hessians(); }));
  return Reply{ToJsonList("hessians", hessians), HessianTable(hessians)};
}

absl::StatusOr<int> Show(Session& session, const std::string& name) {
  QTIPD_ASSIGN_OR_RETURN(const auto connection, session.ConnectOne());
  v1::GetHessianRequest request;
  request.set_name(name);
  QTIPD_ASSIGN_OR_RETURN(const v1::Hessian hessian, connection->Call(&Stub::GetHessian, request));
  if (session.is_json()) {
    session.PrintJson(ToJson(hessian));
  } else {
    session.Print(HessianDetails(hessian));
  }
  return kExitDone;
}

absl::StatusOr<int> Delete(Session& session, const std::string& name) {
  QTIPD_ASSIGN_OR_RETURN(const auto connection, session.ConnectOne());
  v1::DeleteHessianRequest request;
  request.set_name(name);
  QTIPD_ASSIGN_OR_RETURN(const v1::DeleteHessianResponse response,
                         connection->Call(&Stub::DeleteHessian, request));
  if (session.is_json()) session.PrintJson(ToJson(response));
  session.PrintNote("deleted Hessian " + name);
  return kExitDone;
}

void AddNamedVerb(CLI::App& parent, Action& action, const char* verb_name, const char* help,
                  absl::StatusOr<int> (*run)(Session&, const std::string&)) {
  auto name = std::make_shared<std::string>();
  CLI::App* verb = AddVerb(parent, verb_name, help);
  verb->add_option("NAME", *name, "The Hessian's name")->required();
  verb->callback([&action, name, run] {
    action = [name, run](Session& session) { return run(session, *name); };
  });
}

}  // namespace

void AddCalibrateCommand(CLI::App& root, Action& action) {
  auto flags = std::make_shared<CalibrateFlags>();
  CLI::App* verb = AddVerb(root, "calibrate", "Accumulate a Hessian from a linear's inputs");
  verb->require_subcommand(0, 1);
  verb->add_option("--name", flags->name, "The Hessian's name, [A-Za-z0-9._/-]{1,200}");
  verb->add_option("--input", flags->input, "A safetensors file here; the tensor travels");
  verb->add_option("--server-path", flags->server_path, "A safetensors file on the daemon's host");
  verb->add_option("--tensor", flags->tensor,
                   "Activations [tokens, in_features] in the file, F16, BF16 or F32");
  verb->add_flag("--add", flags->add, "Add to the Hessian of that name");
  AddVerb(*verb, "list", "All of them")->callback([&action] {
    action = [](Session& session) { return ReadFromTargets(session, List); };
  });
  AddNamedVerb(*verb, action, "show", "One with what it was accumulated from", Show);
  AddNamedVerb(*verb, action, "delete", "Remove it for good", Delete);
  // CLI11 calls this after the callback of a verb below, which has set the action then.
  verb->callback([&action, flags, verb] {
    if (verb->get_subcommands().empty()) {
      action = [flags](Session& session) { return Calibrate(session, *flags); };
    } else {
      RefuseOwnOptions(*verb, action);
    }
  });
}

}  // namespace qtipd
