// Artefact records as messages.
#ifndef QTIPD_SERVER_SERVICE_ARTIFACT_CONVERSION_H_
#define QTIPD_SERVER_SERVICE_ARTIFACT_CONVERSION_H_

#include "qtipd/v1/artifact.pb.h"
#include "server/engine/types.h"

namespace qtipd {

v1::Artifact ToProto(const ArtifactRecord& record);
v1::Quality ToProto(const Quality& quality);

}  // namespace qtipd

#endif  // QTIPD_SERVER_SERVICE_ARTIFACT_CONVERSION_H_
