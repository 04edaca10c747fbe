"""The class that handlers of TorchServe build on: load, preprocess, inference, postprocess, by the names it has."""

from __future__ import annotations

import importlib
import os
from typing import Any, Dict, List

import torch

from salver_worker.failures import LoadFailure
from ts.utils.util import list_classes_from_module, load_label_mapping


class BaseHandler:
    """Loads TorchScript (a serialized file without a model file), eager models (a model file and a state), and ONNX."""

    def __init__(self) -> None:
        self.model: Any = None
        self.mapping: Any = None
        self.device: Any = None
        self.initialized = False
        self.context: Any = None
        self.model_pt_path: Any = None
        self.manifest: Dict[str, Any] = {}
        self.map_location: Any = None
        self.explain = False
        self.target = 0
        self.model_yaml_config: Dict[str, Any] = {}

    def initialize(self, context: Any) -> None:
        self.context = context
        self.manifest = context.manifest
        self.model_yaml_config = context.model_yaml_config or {}
        gpu = context.system_properties.get("gpu_id")
        has_gpu = torch.cuda.is_available() and gpu is not None
        self.map_location = "cuda" if has_gpu else "cpu"
        self.device = torch.device("cuda:%s" % gpu if has_gpu else "cpu")
        folder = context.system_properties.get("model_dir")
        model = self.manifest.get("model", {})
        serialized, source = model.get("serializedFile"), model.get("modelFile")
        self.model_pt_path = os.path.join(folder, serialized) if serialized else None
        if source:
            self.model = self._load_pickled_model(folder, source, self.model_pt_path).to(self.device).eval()
        elif serialized and serialized.endswith(".onnx"):
            self.model = self._load_onnx(self.model_pt_path)
        elif serialized:
            self.model = self._load_torchscript_model(self.model_pt_path).to(self.device).eval()
        self.mapping = load_label_mapping(os.path.join(folder, "index_to_name.json"))
        self.initialized = True

    def _load_torchscript_model(self, model_pt_path: Any) -> Any:
        return torch.jit.load(model_pt_path, map_location=self.device)

    def _load_onnx(self, model_onnx_path: Any) -> Any:
        return importlib.import_module("onnxruntime").InferenceSession(
            model_onnx_path, providers=["CPUExecutionProvider"]
        )

    def _load_pickled_model(self, model_dir: str, model_file: str, model_pt_path: Any) -> Any:
        """The only model that the file defines, with the state of the serialized file."""
        if not os.path.isfile(os.path.join(model_dir, model_file)):
            raise LoadFailure("the archive has no file %s, which its manifest names as the model" % model_file)
        module = importlib.import_module(model_file.partition(".")[0])
        classes = list_classes_from_module(module, torch.nn.Module)
        if len(classes) != 1:
            raise LoadFailure(
                "%s must define exactly one model; it defines: %s"
                % (model_file, ", ".join(found.__name__ for found in classes) or "none"),
                fix="Put other classes into another file.",
            )
        model = classes[0]()
        if model_pt_path:
            model.load_state_dict(torch.load(model_pt_path, map_location=self.map_location, weights_only=True))
        return model

    def preprocess(self, data: Any) -> Any:
        return torch.as_tensor(data, device=self.device)

    def inference(self, data: Any, *args: Any, **kwargs: Any) -> Any:
        with torch.inference_mode():
            return self.model(data.to(self.device), *args, **kwargs)

    def postprocess(self, data: Any) -> List[Any]:
        answers: List[Any] = data.tolist()
        return answers

    def handle(self, data: Any, context: Any) -> Any:
        self.context = context
        if self._header("describe") == "True":
            return [self.describe_handle()]
        prepared = self.preprocess(data)
        if self._header("explain") == "True":
            return self.explain_handle(prepared, data)
        return self.postprocess(self.inference(prepared))

    def explain_handle(self, data_preprocess: Any, raw_data: Any) -> Any:
        """The explanation of the first request, which the handler's own `get_insights` gives."""
        first = raw_data[0]
        row = first if isinstance(first, dict) else {"data": first}
        inputs = row.get("data") or row.get("body")
        target = inputs.get("target", 0) if isinstance(inputs, dict) else 0
        return self.get_insights(data_preprocess, inputs, target)

    def get_insights(self, tensor_data: Any, raw_data: Any, target: Any) -> Any:
        raise ValueError("this handler explains nothing: it has no get_insights of its own")

    def describe_handle(self) -> Any:
        """What a description with `customized` has of the handler; nothing unless it says something."""

    def _is_explain(self) -> bool:
        return bool(self._header("explain") == "True")

    def _is_describe(self) -> bool:
        return bool(self._header("describe") == "True")

    def _header(self, name: str) -> Any:
        return self.context.get_request_header(0, name) if self.context and self.context.request_processor else None
