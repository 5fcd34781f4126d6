// Models and Hessians as messages.
#ifndef QTIPD_SERVER_SERVICE_MODEL_CONVERSION_H_
#define QTIPD_SERVER_SERVICE_MODEL_CONVERSION_H_

#include "qtipd/v1/artifact.pb.h"
#include "qtipd/v1/calibrate.pb.h"
#include "server/engine/types.h"

namespace qtipd {

v1::Model ToProto(const ModelView& model);
v1::Hessian ToProto(const HessianRecord& hessian);

}  // namespace qtipd

#endif  // QTIPD_SERVER_SERVICE_MODEL_CONVERSION_H_
