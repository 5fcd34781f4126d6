#!/usr/bin/python3
"""Proves that check_architecture.py sees each kind of violation: one is planted in a copy of the tree.

usage: check_architecture_test.py ROOT [unittest arguments]
"""

import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

CHECKER = pathlib.Path(__file__).with_name("check_architecture.py")
ROOT = None


def check(root):
    done = subprocess.run([sys.executable, CHECKER, root], stdout=subprocess.PIPE, text=True, check=False)
    return done.returncode, done.stdout


class Architecture(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="qtipd-architecture-")
        self.addCleanup(self.folder.cleanup)
        self.copy = pathlib.Path(self.folder.name) / "tree"
        for top in ("kernels", "server", "client", "proto"):
            shutil.copytree(ROOT / top, self.copy / top)
        _, self.before = check(self.copy)

    def plant(self, path, text):
        """Appends `text` to the file `path`, which is made where it does not exist."""
        file = self.copy / path
        file.parent.mkdir(parents=True, exist_ok=True)
        with open(file, "a", encoding="utf-8") as out:
            out.write("\n" + text + "\n")

    def assert_seen(self, start):
        status, after = check(self.copy)
        new = set(after.splitlines()) - set(self.before.splitlines())
        self.assertEqual(status, 1)
        self.assertTrue(any(line.startswith(start) for line in new), f"no '{start}' in: {after}")

    def test_sees_an_include_from_a_lower_layer_up(self):
        self.plant("kernels/api/planted.h", '#include "server/engine/engine.h"')
        self.assert_seen("include: kernels/api/planted.h includes server/engine/engine.h")

    def test_sees_the_api_including_a_backend(self):
        self.plant("kernels/api/planted.h", '#include "kernels/cpu/planted.h"')
        self.assert_seen("include: kernels/api/planted.h")

    def test_sees_the_engine_including_the_service(self):
        self.plant("server/engine/planted.cc", '#  include "server/service/planted.h"')
        self.assert_seen("include: server/engine/planted.cc")

    def test_sees_the_service_including_the_transport(self):
        self.plant("server/service/planted.h", '#include "server/transport/qtip_service.h"')
        self.assert_seen("include: server/service/planted.h")

    def test_sees_the_client_including_server_internals(self):
        self.plant("client/commands/planted.cc", '#include "server/engine/types.h"')
        self.assert_seen("include: client/commands/planted.cc")

    def test_sees_one_format_including_another(self):
        self.plant("kernels/formats/planted/planted.h", '#include "kernels/formats/qtip/qtip_layout.h"')
        self.assert_seen("include: kernels/formats/planted/planted.h")

    def test_sees_a_path_including_a_format(self):
        self.plant("kernels/paths/planted.cc", '#include "kernels/formats/qtip/qtip_layout.h"')
        self.assert_seen("include: kernels/paths/planted.cc")

    def test_sees_a_folder_that_has_no_place(self):
        self.plant("kernels/planted/planted.h", '#include "kernels/api/device.h"')
        self.assert_seen("include: kernels/planted/planted.h: its folder has no row")

    def test_sees_a_link_from_a_lower_layer_up(self):
        self.plant("kernels/api/CMakeLists.txt", "target_link_libraries(qtipd_kernels_api PUBLIC qtipd::base)")
        self.assert_seen("link: kernels/api/CMakeLists.txt names qtipd::base")

    def test_sees_a_link_without_the_alias(self):
        self.plant("server/base/CMakeLists.txt", "target_link_libraries(qtipd_base PUBLIC qtipd_proto)")
        self.assert_seen("link: server/base/CMakeLists.txt names qtipd::proto")

    def test_sees_a_link_to_nothing(self):
        self.plant("server/base/CMakeLists.txt", "target_link_libraries(qtipd_base PUBLIC qtipd::planted)")
        self.assert_seen("link: server/base/CMakeLists.txt names qtipd::planted, which no")

    def test_sees_grpc_in_the_kernels(self):
        self.plant("kernels/api/planted.cc", "#include <grpcpp/grpcpp.h>")
        self.assert_seen("name: kernels/api/planted.cc names gRPC")

    def test_sees_protobuf_in_the_engine(self):
        self.plant("server/engine/planted.h", "namespace google::protobuf { class Message; }")
        self.assert_seen("name: server/engine/planted.h names Protocol Buffers")

    def test_sees_generated_code_in_the_engine(self):
        self.plant("server/engine/planted.h", '#include "qtipd/v1/common.pb.h"')
        self.assert_seen("name: server/engine/planted.h names Protocol Buffers")

    def test_sees_prometheus_in_the_engine(self):
        self.plant("server/engine/planted.cc", "prometheus::Registry registry;")
        self.assert_seen("name: server/engine/planted.cc names Prometheus")

    def test_sees_prometheus_linked_to_the_engine(self):
        self.plant("server/engine/CMakeLists.txt", "target_link_libraries(x PUBLIC prometheus-cpp::core)")
        self.assert_seen("name: server/engine/CMakeLists.txt names Prometheus")

    def test_sees_sqlite_in_the_kernels(self):
        self.plant("kernels/io/planted.cc", "#include <sqlite3.h>")
        self.assert_seen("name: kernels/io/planted.cc names SQLite")

    def test_sees_grpc_in_the_service(self):
        self.plant("server/service/planted.cc", "grpc::Status status;")
        self.assert_seen("name: server/service/planted.cc names gRPC")

    def test_reads_past_comments(self):
        self.plant("server/engine/planted.h", "// Prometheus, gRPC\n/* and\n#include <grpcpp/grpcpp.h> */")
        _, after = check(self.copy)
        self.assertNotIn("planted.h", after)

    def test_lets_a_layer_use_the_one_below(self):
        self.plant("server/engine/planted.h", '#include "kernels/api/device.h"')
        _, after = check(self.copy)
        self.assertNotIn("planted.h", after)

    def test_refuses_a_tree_without_sources(self):
        with tempfile.TemporaryDirectory() as empty:
            self.assertEqual(check(empty)[0], 2)


if __name__ == "__main__":
    ROOT = pathlib.Path(sys.argv.pop(1)).resolve()
    unittest.main()
