"""A client in another language: nothing but the published protos and a stock gRPC."""

import hashlib
import os
import sys
import unittest

import google
import grpc

PROTOS = os.environ["QTIPD_PYTHON_PROTOS"]
sys.path.insert(0, PROTOS)
# google.protobuf is installed elsewhere; our google.rpc and google.longrunning join its package. The
# same goes for grpc.health.
google.__path__.append(os.path.join(PROTOS, "google"))
grpc.__path__.append(os.path.join(PROTOS, "grpc"))

# pylint: disable=wrong-import-position
from google.longrunning import operations_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc.health.v1 import health_pb2
from harness import DaemonTest, matrix, read_safetensors, write_safetensors
from qtipd.v1 import artifact_pb2, benchmark_pb2, operation_pb2, qtip_service_pb2, quantize_pb2


class Stub:
    """The methods of one service, made from its descriptor."""

    def __init__(self, channel, service):
        for method in service.methods:
            make = getattr(channel, ("stream" if method.client_streaming else "unary") + "_" +
                           ("stream" if method.server_streaming else "unary"))
            call = make(f"/{service.full_name}/{method.name}",
                        request_serializer=lambda message: message.SerializeToString(),
                        response_deserializer=_class(method.output_type).FromString)
            setattr(self, method.name, call)


def _class(descriptor):
    return descriptor._concrete_class  # pylint: disable=protected-access


class PythonClient(DaemonTest):
    def setUp(self):
        self.channel = grpc.insecure_channel(self.daemon.target)
        self.addCleanup(self.channel.close)
        service = qtip_service_pb2.DESCRIPTOR.services_by_name["QtipService"]
        self.qtip = Stub(self.channel, service)
        self.operations = Stub(self.channel,
                               operations_pb2.DESCRIPTOR.services_by_name["Operations"])

    def wait(self, operation, result):
        """Streams the progress to its end, and returns `result` filled; waiting gives the same."""
        seen = list(self.qtip.WatchOperation(
            operation_pb2.WatchOperationRequest(name=operation.name), timeout=60))
        self.assertTrue(seen[-1].done)
        metadata = operation_pb2.OperationMetadata()
        self.assertTrue(seen[-1].metadata.Unpack(metadata))
        self.assertEqual(metadata.state, operation_pb2.SUCCEEDED)
        waited = self.operations.WaitOperation(
            operations_pb2.WaitOperationRequest(name=operation.name), timeout=60)
        self.assertTrue(seen[-1].response.Unpack(result))
        again = type(result)()
        self.assertTrue(waited.response.Unpack(again))
        self.assertEqual(again, result)
        return result

    def upload(self, content, sha256=None):
        requests = [artifact_pb2.UploadFileRequest(chunk=content[i:i + 1000])
                    for i in range(0, len(content), 1000)]
        requests.append(artifact_pb2.UploadFileRequest(
            sha256=sha256 or hashlib.sha256(content).hexdigest()))
        return self.qtip.UploadFile(iter(requests), timeout=60).upload_id

    def failure(self, call):
        """The ErrorInfo of a call that must fail."""
        with self.assertRaises(grpc.RpcError) as raised:
            call()
        trailers = dict(raised.exception.trailing_metadata())
        status = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
        self.assertEqual(status.code, raised.exception.code().value[0])
        info = error_details_pb2.ErrorInfo()
        self.assertTrue(status.details[0].Unpack(info))
        self.assertEqual(info.domain, "qtipd.dev")
        return info

    def test_1_quantizes(self):
        request = quantize_pb2.StartQuantizeRequest(name="py", format="qtip", request_id="once")
        request.random.shape.out_features = 64
        request.random.shape.in_features = 64
        request.format_options["bits"].integer = 2
        operation = self.qtip.StartQuantize(request, timeout=60)
        again = self.qtip.StartQuantize(request, timeout=60)
        self.assertEqual(again.name, operation.name)
        artifact = self.wait(operation, artifact_pb2.Artifact())
        self.assertEqual(artifact.name, "py")
        self.assertGreater(artifact.quality.relative_weight_mse, 0)

    def test_2_benchmarks(self):
        request = benchmark_pb2.StartBenchmarkRequest(artifact="py")
        request.stopping.samples = 5
        run = self.wait(self.qtip.StartBenchmark(request, timeout=60), benchmark_pb2.Run())
        self.assertEqual({result.path for result in run.results}, {"dense", "dequant", "fused"})
        for result in run.results:
            self.assertEqual(len(result.latency.samples), 5)

    def test_3_uploads_and_exports(self):
        path = write_safetensors(self.scratch / "w.safetensors", {"w": matrix(32, 32)})
        request = quantize_pb2.StartQuantizeRequest(name="up", format="qtip")
        request.tensor.file.upload_id = self.upload(path.read_bytes())
        request.tensor.tensor = "w"
        self.wait(self.qtip.StartQuantize(request, timeout=60), artifact_pb2.Artifact())
        parts = list(self.qtip.ExportArtifact(
            artifact_pb2.ExportArtifactRequest(name="up", form=artifact_pb2.EXPORT_FORM_DENSE)))
        content = b"".join(part.chunk for part in parts)
        self.assertEqual(parts[0].total_bytes, len(content))
        self.assertEqual(parts[-1].sha256, hashlib.sha256(content).hexdigest())
        out = self.scratch / "out.safetensors"
        out.write_bytes(content)
        self.assertEqual(read_safetensors(out)["weight"][1], [32, 32])

    def test_4_reads_the_reason_of_an_error(self):
        info = self.failure(lambda: self.qtip.GetArtifact(
            artifact_pb2.GetArtifactRequest(name="none"), timeout=60))
        self.assertEqual(info.reason, "ARTIFACT_NOT_FOUND")
        info = self.failure(lambda: self.upload(b"some bytes", sha256="0" * 64))
        self.assertEqual(info.reason, "UPLOAD_HASH_MISMATCH")
        info = self.failure(lambda: self.qtip.UploadFile(
            iter([artifact_pb2.UploadFileRequest(chunk=bytes((1 << 20) + 1))]), timeout=60))
        self.assertEqual(info.reason, "CHUNK_TOO_LARGE")

    def test_5_a_bad_upload_harms_nobody(self):
        request = quantize_pb2.StartQuantizeRequest(name="bad", format="qtip")
        request.tensor.file.upload_id = self.upload(b"\xff" * 5000)
        request.tensor.tensor = "w"
        operation = self.qtip.StartQuantize(request, timeout=60)
        done = self.operations.WaitOperation(
            operations_pb2.WaitOperationRequest(name=operation.name), timeout=60)
        info = error_details_pb2.ErrorInfo()
        self.assertTrue(done.error.details[0].Unpack(info))
        self.assertEqual(info.reason, "SAFETENSORS_INVALID")
        self.assertEqual(self.ctl("health").code, 0)

    def test_6_speaks_the_standard_health_protocol(self):
        health = Stub(self.channel, health_pb2.DESCRIPTOR.services_by_name["Health"])
        serving = health_pb2.HealthCheckResponse.SERVING
        for service in ("", "qtipd.v1.QtipService"):
            request = health_pb2.HealthCheckRequest(service=service)
            self.assertEqual(health.Check(request, timeout=60).status, serving)
        watch = health.Watch(health_pb2.HealthCheckRequest(), timeout=60)
        self.assertEqual(next(watch).status, serving)
        watch.cancel()

    def test_7_names_its_services_to_those_who_ask(self):
        # grpc.reflection.v1alpha, list_services (field 7) with any text: bytes 3a 01 2a.
        reflect = self.channel.stream_stream(
            "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")
        answer = next(reflect(iter([b"\x3a\x01\x2a"]), timeout=60))
        for service in (b"qtipd.v1.QtipService", b"google.longrunning.Operations",
                        b"grpc.health.v1.Health"):
            self.assertIn(service, answer)


if __name__ == "__main__":
    unittest.main()
