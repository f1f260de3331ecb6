"""OpenVINO's first arrays, handed over by two threads at once, in fresh processes."""

import subprocess
import sys

import numpy as np
import openvino as ov

CODE = """
import sys, threading
sys.setswitchinterval(1e-6)
import numpy as np
from headstart.features import graph

compiled = graph.openvino_module().Core().compile_model("double.xml", "CPU")
meeting, pixels = threading.Barrier(2), np.ones((1, 3), np.float32)

def first():
    meeting.wait()
    request = compiled.create_infer_request()
    request.infer({0: pixels}, share_inputs=True)
    assert request.get_output_tensor().data.sum() == 6

threads = [threading.Thread(target=first) for _ in range(2)]
for one in threads: one.start()
for one in threads: one.join()
print("done")
"""


def test_threads_do_not_wait_for_each_other_for_ever(tmp_path):
    image = ov.opset13.parameter([-1, 3], np.float32)
    ov.save_model(ov.Model([ov.opset13.add(image, image)], [image]), tmp_path / "double.xml")
    for _ in range(10):
        command = [sys.executable, "-c", CODE]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=120)
        assert done.stdout == "done\n"
