// Models and Hessians as tables.
#ifndef QTIPD_CLIENT_MODEL_VIEW_H_
#define QTIPD_CLIENT_MODEL_VIEW_H_

#include <string>
#include <vector>

#include "client/output.h"
#include "qtipd/v1/artifact.pb.h"
#include "qtipd/v1/calibrate.pb.h"

namespace qtipd {

// One row: what the model's layers are together.
Table ModelTable(const v1::Model& model);

// A line about the imported tensors that the daemon has not taken, and one about those among them,
// biases, that belong to linears that it has; empty where there are none.
std::string AbsentText(const v1::Model& model);

Table HessianTable(const std::vector<v1::Hessian>& hessians);
Table HessianDetails(const v1::Hessian& hessian);

}  // namespace qtipd

#endif  // QTIPD_CLIENT_MODEL_VIEW_H_
