"""Programs that run where TensorFlow is: one makes SavedModels, one opens them and tells what it saw."""

from __future__ import annotations

MAKE = """
import sys
from pathlib import Path
import numpy as np
import tensorflow as tf

folder = Path(sys.argv[1])
F32, S = tf.float32, tf.TensorSpec

class Several(tf.Module):
    @tf.function(input_signature=[S([None, 2], F32, name="x")])
    def serve(self, x):
        return {"y": x * 2.0, "sum": tf.reduce_sum(x, 1)}
    @tf.function(input_signature=[S([None], tf.string, name="b"), S([None], tf.int64, name="a")])
    def words(self, b, a):
        return {"upper": tf.strings.upper(b), "length": tf.cast(tf.strings.length(b), tf.int64) + a}
    @tf.function(input_signature=[S([3], F32, name="x")])
    def whole(self, x):
        return {"total": tf.reduce_sum(x)}
    @tf.function(input_signature=[S(None, F32, name="x")])
    def anything(self, x):
        return {"rank": tf.rank(x), "same": x}
    @tf.function(input_signature=[S([None], tf.int32, name="ids")])
    def lookup(self, ids):
        return {"found": tf.gather(tf.constant([10.0, 20.0]), ids)}

several = Several()
tf.saved_model.save(several, str(folder / "several"), signatures={
    "serving_default": several.serve, "words": several.words, "whole": several.whole, "anything": several.anything,
    "lookup": several.lookup,
})
tf.saved_model.save(several, str(folder / "unnamed"), signatures={"zeta": several.whole, "predict": several.words})

KINDS = "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 bfloat16 float32 float64 string".split()

class Kinds(tf.Module):
    @tf.function(input_signature=[S([None], getattr(tf, kind), name=kind) for kind in KINDS])
    def serve(self, *values):
        return {kind: tf.identity(value) for kind, value in zip(KINDS, values)}
    @tf.function(input_signature=[S([None], tf.complex64, name="z")])
    def strange(self, z):
        return {"z": z}

kinds = Kinds()
tf.saved_model.save(kinds, str(folder / "kinds"), signatures={"serving_default": kinds.serve, "strange": kinds.strange})
tf.saved_model.save(kinds, str(folder / "strange"), signatures={"serving_default": kinds.strange})
tf.saved_model.save(tf.Module(), str(folder / "empty"))

(folder / "words.txt").write_text("cat\\ndog\\n")

class Lookup(tf.Module):
    def __init__(self):
        file = tf.lookup.TextFileInitializer(str(folder / "words.txt"), tf.string, tf.lookup.TextFileIndex.WHOLE_LINE,
                                             tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER)
        self.table = tf.lookup.StaticHashTable(file, -1)
    @tf.function(input_signature=[S([None], tf.string, name="word")])
    def serve(self, word):
        return {"number": self.table.lookup(word)}

table = Lookup()
tf.saved_model.save(table, str(folder / "table"), signatures={"serving_default": table.serve})
(folder / "words.txt").unlink()

def old(name, *tags):
    graph = tf.Graph()
    with graph.as_default(), tf.compat.v1.Session() as session:
        x = tf.compat.v1.placeholder(F32, [None], name="x")
        signature = tf.compat.v1.saved_model.predict_signature_def({"x": x}, {"y": x + 1.0})
        builder = tf.compat.v1.saved_model.Builder(str(folder / name))
        for place, tag in enumerate(tags):
            if place:
                builder.add_meta_graph([tag], signature_def_map={"serving_default": signature})
            else:
                builder.add_meta_graph_and_variables(session, [tag], signature_def_map={"serving_default": signature})
        builder.save()

old("mine", "mine")
old("train", "train", "other")
old("both", "train", "serve")
graph = (folder / "several" / "saved_model.pb").read_bytes()
(folder / "cut").mkdir()
(folder / "cut" / "saved_model.pb").write_bytes(graph[: len(graph) // 2])
(folder / "foreign").mkdir()
(folder / "foreign" / "saved_model.pb").write_bytes(graph.replace(b"StringUpper", b"StringUpsie"))
(folder / "foreign" / "variables").mkdir()
for path in (folder / "several" / "variables").iterdir():
    (folder / "foreign" / "variables" / path.name).write_bytes(path.read_bytes())
"""

OPEN = """
from salver_worker.runtimes import tensorflow as runtime
from salver_worker.runtimes.tensorflow_process import open_tensorflow

tf = open_tensorflow()
made, data = map(Path, sys.argv[1:])

def open_folder(path):
    return runtime.load(request(path))

def told(model):
    further = {name: [it.signature, it.has_batch_dimension] for name, it in sorted(model.signatures.items())}
    return {"default": model.default_signature, "signature": model.signature, "rows": model.has_batch_dimension,
            "further": further, "details": model.details, "defs": sorted(model.signature_defs)}

def text(*values):
    return np.array([value.encode() for value in values], object)

several = open_folder(made / "several")
out["several"] = told(several)
x = np.array([[1, 2], [3, 4]], np.float32)
x.setflags(write=False)
direct = tf.saved_model.load(str(made / "several"))
expected = {name: value.numpy() for name, value in direct.signatures["serving_default"](x=tf.constant(x)).items()}
answer = several.predict({"x": x}, {})
out["same"] = sorted(answer) == sorted(expected) and all((answer[name] == expected[name]).all() for name in expected)
words = several.signatures["words"].predict({"a": np.array([1, 2]), "b": text("ab", "é")}, {})
out["words"] = [[each.decode() for each in words["upper"]], words["length"].tolist()]
total = several.signatures["whole"].predict({"x": np.ones(3, np.float32)}, {})["total"]
out["total"] = [total.tolist(), list(total.shape), str(total.dtype)]
ranks = [several.signatures["anything"].predict({"x": np.ones(shape, np.float32)}, {}) for shape in ((), (2,), (2, 3))]
out["ranks"] = [[int(each["rank"]), list(each["same"].shape)] for each in ranks]
try:
    several.signatures["lookup"].predict({"ids": np.array([0, 7], np.int32)}, {})
except InputError as error:
    out["outside"] = str(error)
several.leave_out(["y"])
out["left out"] = [sorted(several.predict({"x": x}, {})), [row["name"] for row in several.signature["outputs"]]]
several.close()

out["table"] = open_folder(made / "table").predict({"word": text("dog", "owl", "cat")}, {})["number"].tolist()
unnamed = open_folder(made / "unnamed")
out["unnamed"] = told(unnamed)
kinds = open_folder(made / "kinds")
out["kinds"] = told(kinds)
given = {}
for row in kinds.signature["inputs"]:
    if row["datatype"] == "BYTES":
        given[row["name"]] = text("", "a b")
    else:
        held = runtime.np.float32 if row["datatype"] == "BF16" else row["name"]
        given[row["name"]] = np.array([0, 1]).astype(held)
answer = kinds.predict(given, {})
out["unlike"] = [name for name, value in given.items()
                 if answer[name].dtype != value.dtype or answer[name].tolist() != value.tolist()]
for name in ("strange", "empty", "train", "cut", "foreign"):
    out[name] = refusal(runtime.load, made / name)
for name in ("mine", "both"):
    out[name] = open_folder(made / name).predict({"x": np.array([1], np.float32)}, {})["y"].tolist()

class Real:
    def __init__(self, name):
        self.model = open_folder(data / name / "00000123")
        self.defs = self.model.signature_defs

REGRESS = ("regress_x_to_", "tensorflow/serving/regress")
real = {}
example = tf.train.Example()
example.features.feature["x"].float_list.value.append(4.0)
serialized = np.array([example.SerializeToString()], object)
for name in ("saved_model_half_plus_two_cpu", "saved_model_half_plus_two_tf2_cpu", "saved_model_half_plus_three"):
    each = Real(name)
    regression = next(it for name, it in sorted(each.model.signatures.items()) if name.startswith(REGRESS))
    x = np.array([[4.0]] if each.model.has_batch_dimension else [4.0], np.float32)
    real[name] = {
        "told": told(each.model), "defs": each.defs, "y": float(each.model.predict({"x": x}, {})["y"].ravel()[0]),
        "regression": float(regression.predict({"inputs": serialized}, {})["outputs"].ravel()[0]),
    }
    try:
        regression.predict({"inputs": text("abc")}, {})
    except InputError as error:
        real[name]["no example"] = str(error)
out["real"] = real
out["versions"] = {"defs": open_folder(data / "saved_model_half_plus_two_2_versions" / "00000123").signature_defs}
counter = open_folder(data / "saved_model_counter" / "00000123")
out["counter"] = told(counter)
three = {"delta": np.array(3.0, np.float32)}
steps = [counter.predict({}, {}), counter.signatures["incr_counter"].predict({}, {}),
         counter.signatures["incr_counter_by"].predict(three, {}), counter.predict({}, {})]
out["counted"] = [float(step["output"]) for step in steps]
"""
